// One line on the terminal with the progress of the work: stage, bar, step, rate, time left. It is drawn only if its
// stream is a terminal. In a pipe or a file nothing is written.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

namespace tempera::cli {

// What the line shows. `rate` is steps per second since the stage began, 0 while unknown; `unit` is "it" for steps, "B"
// for bytes.
struct ProgressLine {
  std::string_view label;
  double done = 0, total = 0;
  double rate = 0;
  std::string_view unit = "it";
};

// The line in at most `columns` columns, ASCII: "denoise 45% [====      ] 9/20  1.23 it/s  0:09 left".
std::string format_progress(const ProgressLine& line, int columns);

// "0:09", "12:03", "1:02:03".
std::string format_duration(double seconds);

class ProgressBar {
 public:
  explicit ProgressBar(std::FILE* stream);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // Shows `done` of `total`; a new label starts a new stage with its own clock. At most ten redraws a second, except
  // for the start and the end of a stage.
  void update(std::string_view label, double done, double total, std::string_view unit = "it");

  bool is_terminal() const { return terminal_; }

  // Removes the line, so that other text can be printed. The next update draws it again.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  std::FILE* stream_;
  bool terminal_;
  bool shown_ = false;
  std::string label_;
  double first_done_ = 0;  // `done` when the stage's clock started
  Clock::time_point started_, drawn_;
};

}  // namespace tempera::cli
