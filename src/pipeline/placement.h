// Where the parameters of each component are while requests run.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "program/program.h"

namespace tempera {

enum class Residency : uint8_t {
  resident,  // loaded once, stays
  in_turn,   // brought when it is used, into memory that the others use too
  streamed,  // travels through little memory, in every run
};

struct Placement {
  Residency text = Residency::in_turn, denoise = Residency::resident, decoder = Residency::resident;
  size_t stay = 0;  // of a streamed UNet: bytes of its parameters that may stay
  // As little memory as there can be: parameters travel where activations leave room, and what is constant for a
  // request (keys and values of the prompt) is computed in every run instead of being kept.
  bool tight = false;
  bool operator==(const Placement&) const = default;
};

// offload: auto (the text encoders in turn), none, model (all in turn), sequential (all streamed).
Placement placement_for(std::string_view offload);

// The program with its parameters placed so.
// stay: as Placement::stay, for this program.
Program place(Program program, Residency residency, const Placement& placement, size_t stay, size_t alignment);

}  // namespace tempera
