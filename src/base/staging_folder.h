// A hidden folder next to a new file or folder, in which it is written before it appears under its name. If the process
// is killed, only the hidden folder stays; the next staging folder for the same name removes it. A lock shows whether
// the process of a hidden folder still runs.
#pragma once

#include <filesystem>

namespace tempera {

class StagingFolder {
 public:
  // Makes a folder ".NAME.0123456789abcdef.tmp" in the folder of `target`, whose file name is NAME. Removes such
  // folders of processes that have ended. Throws Error(invalid_argument) if `target` exists and is not an empty folder,
  // and Error(io) "cannot write '<target>': <reason>" if its folder is missing or not writable.
  explicit StagingFolder(std::filesystem::path target);
  // Removes the folder and its content, unless it was renamed.
  ~StagingFolder();
  StagingFolder(const StagingFolder&) = delete;
  StagingFolder& operator=(const StagingFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // The folder, or the file NAME in it, becomes `target`. Never replaces a file, nor a folder that is not empty: throws
  // Error(invalid_argument) if another process made one in the meantime.
  void commit_folder();
  void commit_file();

 private:
  [[noreturn]] void fail_with(int error) const;
  void rename(const std::filesystem::path& from) const;

  std::filesystem::path target_, path_;
  int lock_ = -1;  // the opened folder; the lock ends with the process
};

}  // namespace tempera
