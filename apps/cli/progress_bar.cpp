#include "progress_bar.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "units.h"

namespace tempera::cli {
namespace {

constexpr std::chrono::milliseconds kRedrawInterval(100);
constexpr int kWidestBar = 40;

int terminal_columns(std::FILE* stream) {
  winsize size{};
  if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::string format_rate(double rate, std::string_view unit) {
  if (unit == "B") return format_bytes(rate) + "/s";
  return rate >= 1 ? fmt::format("{:.2f} {}/s", rate, unit) : fmt::format("{:.2f} s/{}", 1 / rate, unit);
}

std::string format_done(const ProgressLine& line) {
  if (line.unit == "B") return format_bytes(line.done) + " of " + format_bytes(line.total);
  return fmt::format("{:.0f}/{:.0f}", line.done, line.total);
}

}  // namespace

std::string format_duration(double seconds) {
  const auto whole = static_cast<long long>(std::ceil(std::clamp(seconds, 0.0, 1e9)));
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string format_progress(const ProgressLine& line, int columns) {
  const double fraction = line.total > 0 ? std::clamp(line.done / line.total, 0.0, 1.0) : 0.0;
  std::string head = fmt::format("{:<8}{:>3.0f}% ", line.label, std::floor(fraction * 100));
  std::string tail = " " + format_done(line);
  if (line.rate > 0) {
    tail += "  " + format_rate(line.rate, line.unit);
    if (line.done < line.total) tail += "  " + format_duration((line.total - line.done) / line.rate) + " left";
  }
  const int room = columns - static_cast<int>(head.size() + tail.size()) - 2;  // 2: the brackets
  std::string text = std::move(head);
  if (room >= 5) {
    const int width = std::min(room, kWidestBar);
    const int filled = static_cast<int>(fraction * width);
    text += fmt::format("[{:=<{}}{:<{}}]", "", filled, "", width - filled);
  }
  text += tail;
  if (static_cast<int>(text.size()) > columns) text.resize(static_cast<size_t>(std::max(columns, 0)));
  return text;
}

ProgressBar::ProgressBar(std::FILE* stream) : stream_(stream), terminal_(isatty(fileno(stream)) == 1) {}

ProgressBar::~ProgressBar() {
  clear();
}

void ProgressBar::update(std::string_view label, double done, double total, std::string_view unit) {
  if (!terminal_) return;
  const auto now = Clock::now();
  const bool new_stage = label != label_ || done < first_done_;
  if (new_stage) {
    label_ = label;
    first_done_ = done;
    started_ = now;
  } else if (done < total && now - drawn_ < kRedrawInterval) {
    return;
  }
  drawn_ = now;
  const double seconds = std::chrono::duration<double>(now - started_).count();
  const double rate = seconds > 0 && done > first_done_ ? (done - first_done_) / seconds : 0;
  // The last column stays free: some terminals wrap when it is written.
  const std::string text = format_progress({label_, done, total, rate, unit}, terminal_columns(stream_) - 1);
  std::fprintf(stream_, "\r%s\033[K", text.c_str());
  std::fflush(stream_);
  shown_ = true;
}

void ProgressBar::clear() {
  if (!shown_) return;
  std::fputs("\r\033[K", stream_);
  std::fflush(stream_);
  shown_ = false;
}

}  // namespace tempera::cli
