// tests/data/init_pictures/goldens.json, and the pictures that tools/make_init_picture_goldens.py makes from seeds.
#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/json.h"
#include "image/image.h"

namespace tempera::test {

inline nlohmann::json init_picture_goldens(const char* kind) {
  return read_json_file(TEMPERA_TEST_DATA "/init_pictures/goldens.json").at(kind);
}

inline std::vector<uint8_t> noise(uint32_t seed, size_t count) {
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) {
    seed = seed * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(seed >> 24);
  }
  return bytes;
}

inline Image8 noise_picture(uint32_t seed, int width, int height) {
  return {width, height, noise(seed, static_cast<size_t>(width) * height * 3)};
}

inline std::array<int, 2> size_of(const nlohmann::json& golden, const char* key = "size") {
  return golden.at(key).get<std::array<int, 2>>();
}

inline std::string to_hex(const std::vector<uint8_t>& bytes) {
  std::string text;
  for (const uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

}  // namespace tempera::test
