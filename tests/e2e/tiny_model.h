// A model of random weights for the tests of one executable, and files made from it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tempera::test {

// Written by `tempera synth --preset tiny` at the first call, removed at the end of the executable.
std::filesystem::path tiny_folder();       // diffusers layout
std::filesystem::path tiny_single_file();  // LDM layout: needs --model-config and --tokenizer of the folder

std::string read_file(const std::filesystem::path& path);

// generate with the tiny model: 64 x 64, two steps, fp32 on the CPU, seed 7, then `more`.
std::vector<std::string> generate_arguments(const std::vector<std::string>& more);

}  // namespace tempera::test
