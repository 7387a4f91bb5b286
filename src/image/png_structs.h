// Common to the reader and the writer of PNG: libpng's structures, and its errors.
//
// libpng reports errors by longjmp. So a function that calls setjmp holds nothing that has a destructor between its
// setjmp and its end: vectors live in its callers, and exceptions stop at the callbacks.
#pragma once

#include <png.h>

#include <array>
#include <cstdio>

namespace tempera {

struct PngComplaint {
  std::array<char, 160> text{};
};

[[noreturn]] inline void on_png_error(png_structp png, png_const_charp text) {
  auto* message = static_cast<PngComplaint*>(png_get_error_ptr(png));
  std::snprintf(message->text.data(), message->text.size(), "%s", text);
  png_longjmp(png, 1);
}

inline void on_png_warning(png_structp, png_const_charp) {}

// libpng's two structures, freed together.
struct PngStructs {
  png_structp png = nullptr;
  png_infop info = nullptr;
  void (*destroy)(PngStructs&);
  ~PngStructs() { destroy(*this); }
};

}  // namespace tempera
