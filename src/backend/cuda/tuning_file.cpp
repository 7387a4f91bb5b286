#include "backend/cuda/tuning_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <optional>
#include <tuple>

#include "base/error.h"
#include "base/user_folders.h"

namespace tempera::cuda {
namespace {

constexpr size_t kFields = 6;

// The whole of `text` as a number.
template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

// Nothing if the line is not a choice. Control characters other than tabs are refused, because choices are printed to a
// terminal.
std::optional<TuningChoice> parse_line(std::string_view line) {
  const auto is_control = [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 127; };
  if (std::ranges::any_of(line, is_control)) return std::nullopt;
  std::array<std::string_view, kFields> fields;
  for (size_t i = 0; i < kFields; ++i) {
    const size_t end = line.find('\t');
    if ((end == line.npos) != (i + 1 == kFields)) return std::nullopt;
    fields[i] = line.substr(0, end);
    line.remove_prefix(end == line.npos ? line.size() : end + 1);
    if (fields[i].empty()) return std::nullopt;
  }
  const std::optional<int> candidate = number_of<int>(fields[3]);
  const std::optional<double> microseconds = number_of<double>(fields[5]);
  if (!candidate || *candidate < 0 || !microseconds || !std::isfinite(*microseconds) || *microseconds < 0)
    return std::nullopt;
  return TuningChoice{std::string(fields[0]), std::string(fields[1]), std::string(fields[2]), *candidate,
                      std::string(fields[4]), *microseconds};
}

}  // namespace

std::filesystem::path tuning_file() {
  const std::filesystem::path cache = cache_folder();
  return cache.empty() ? cache : cache / "tempera" / "cuda-algorithms.txt";
}

std::vector<TuningChoice> parse_tuning(std::string_view text) {
  std::vector<TuningChoice> choices;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (std::optional<TuningChoice> choice = parse_line(line)) choices.push_back(std::move(*choice));
  }
  // The last line about a problem is processed first and stays.
  std::ranges::reverse(choices);
  std::ranges::stable_sort(choices, {}, [](const TuningChoice& c) { return std::tie(c.card, c.library, c.problem); });
  const auto same = [](const TuningChoice& a, const TuningChoice& b) { return a.same_problem(b); };
  choices.erase(std::unique(choices.begin(), choices.end(), same), choices.end());
  return choices;
}

std::string tuning_line(const TuningChoice& c) {
  return fmt::format("{}\t{}\t{}\t{}\t{}\t{:.1f}\n", c.card, c.library, c.problem, c.candidate, c.name, c.microseconds);
}

std::vector<TuningChoice> read_tuning(const std::filesystem::path& file) {
  std::error_code unknown;
  if (file.empty() || !std::filesystem::exists(file, unknown)) return {};
  std::ifstream in(file, std::ios::binary);
  if (!in || std::filesystem::is_directory(file, unknown))
    fail(ErrorCode::io, "cannot read {}, where the choices of algorithms are kept", file.string());
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  return parse_tuning(text);
}

namespace {

struct Descriptor {
  int fd;
  explicit Descriptor(int opened) : fd(opened) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);  // a lock ends with it
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

}  // namespace

std::vector<TuningChoice> TuningFile::read_new() {
  if (path_.empty()) return {};
  const Descriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (file.fd < 0 || ::fstat(file.fd, &status) != 0 || !S_ISREG(status.st_mode)) return {};
  if (status.st_ino != inode_ || status.st_size < read_) read_ = 0;
  inode_ = status.st_ino;
  std::string text(static_cast<size_t>(status.st_size - read_), '\0');
  const ssize_t bytes = text.empty() ? 0 : ::pread(file.fd, text.data(), text.size(), read_);
  // A line without its end is still being written, so it is read the next time.
  const size_t end = bytes > 0 ? text.rfind('\n', static_cast<size_t>(bytes) - 1) : text.npos;
  if (end == text.npos) return {};
  read_ += static_cast<off_t>(end) + 1;
  return parse_tuning(std::string_view(text).substr(0, end + 1));
}

void TuningFile::add(const std::function<std::optional<TuningChoice>()>& choose) {
  if (!path_.empty()) {
    std::error_code ignored;
    std::filesystem::create_directories(path_.parent_path(), ignored);
  }
  const Descriptor file(path_.empty() ? -1 : ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  // A file system without locks: only engines that measure one problem at the same moment can then differ.
  if (file.fd >= 0) static_cast<void>(::flock(file.fd, LOCK_EX));
  const std::optional<TuningChoice> choice = choose();
  if (!choice || file.fd < 0) return;
  const std::string line = tuning_line(*choice);
  // One write of one line. If it is cut short, for example on a full disk, the rest of the line is no choice.
  if (::write(file.fd, line.data(), line.size()) < 0) return;
}

}  // namespace tempera::cuda
