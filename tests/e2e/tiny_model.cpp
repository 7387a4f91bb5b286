#include "tiny_model.h"

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "program.h"

namespace tempera::test {
namespace {

const std::filesystem::path& model_folder() {
  static const TemporaryFolder folder;
  return folder.path();
}

std::filesystem::path synthesise(const char* name) {
  std::filesystem::path path = model_folder() / name;
  const Ran ran = run_tempera({"synth", "--preset", "tiny", path});
  if (ran.status != 0) throw std::runtime_error("tempera synth failed: " + ran.err);
  return path;
}

}  // namespace

std::filesystem::path tiny_folder() {
  static const std::filesystem::path path = synthesise("tiny");
  return path;
}

std::filesystem::path tiny_single_file() {
  static const std::filesystem::path path = synthesise("tiny.safetensors");
  return path;
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> generate_arguments(const std::vector<std::string>& more) {
  std::vector<std::string> all = {
      "generate", "a red apple", "--model", tiny_folder(), "--width",  "64",  "--height", "64",
      "--steps",  "2",           "--dtype", "fp32",        "--device", "cpu", "--seed",   "7"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace tempera::test
