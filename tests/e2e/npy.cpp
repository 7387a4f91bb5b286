#include "npy.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>

namespace tempera::test {

// Formats 1.0 and 2.0: "\x93NUMPY", version, length of the header, the header as a Python dictionary, data.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
Npy read_npy(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto refuse = [&path](const char* why) { throw std::runtime_error(path.string() + ": " + why); };
  if (bytes.size() < 12 || bytes.compare(0, 6, "\x93NUMPY") != 0) refuse("no npy file");
  const bool version_1 = bytes[6] == 1;
  size_t header_size = 0;
  std::memcpy(&header_size, &bytes[8], version_1 ? 2 : 4);
  const size_t start = version_1 ? 10 : 12;
  if (start + header_size > bytes.size()) refuse("truncated");
  const std::string header = bytes.substr(start, header_size);
  const bool shares = header.find("'<u2'") != header.npos;
  if ((!shares && header.find("'<f4'") == header.npos) || header.find("'fortran_order': False") == header.npos) {
    refuse("not float32 or uint16 in C order");
  }
  Npy npy;
  const size_t open = header.find('('), close = header.find(')');
  if (open == header.npos || close == header.npos) refuse("no shape");
  std::istringstream dims(header.substr(open + 1, close - open - 1));
  size_t elements = 1;
  for (std::string dim; std::getline(dims, dim, ',');) {
    if (dim.find_first_of("0123456789") == dim.npos) continue;
    npy.shape.push_back(std::stoll(dim));
    elements *= static_cast<size_t>(npy.shape.back());
  }
  const size_t each = shares ? sizeof(uint16_t) : sizeof(float);
  if (bytes.size() - start - header_size != elements * each) refuse("size and shape differ");
  npy.values.resize(elements);
  const char* const data = &bytes[start + header_size];
  if (!shares) std::memcpy(npy.values.data(), data, elements * each);
  for (size_t i = 0; shares && i < elements; ++i) {
    uint16_t share = 0;
    std::memcpy(&share, data + i * each, each);
    npy.values[i] = static_cast<float>(share) / 65535;
  }
  return npy;
}

}  // namespace tempera::test
