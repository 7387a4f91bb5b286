// Where the parameters of each stage are while requests run.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "program/program.h"

namespace tempera {

// The role of a stage in a request. Placement is by role.
enum class Role : uint8_t { text, encode, denoise, decode };
inline constexpr size_t kRoles = static_cast<size_t>(Role::decode) + 1;

enum class Residency : uint8_t {
  resident,  // loaded once, stays
  in_turn,   // copied in when it is used, into memory that the others also use
  streamed,  // copied in through little memory, in every run
};

struct Placement {
  std::array<Residency, kRoles> residency = {Residency::in_turn, Residency::resident, Residency::resident,
                                             Residency::resident};  // by role
  size_t stay = 0;  // of a streamed denoising stage: bytes of its parameters that may stay
  // The least memory: parameters are streamed through free parts of the arena. Values that are constant for a request
  // (keys and values of the prompt) are computed in every run instead of being kept.
  bool tight = false;

  Residency& of(Role role) { return residency[static_cast<size_t>(role)]; }
  Residency of(Role role) const { return residency[static_cast<size_t>(role)]; }
  bool operator==(const Placement&) const = default;
};

// offload: auto (the text encoders in turn), none, model (all in turn), sequential (all streamed).
Placement placement_for(std::string_view offload);

// The program with its parameters placed according to its role.
Program place(Program program, Role role, const Placement& placement, size_t alignment);

}  // namespace tempera
