#include "background_hash.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "child_process.h"
#include "tempera/models.h"

namespace tempera::cli {

void start_background_hash(const std::string& model) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(model, ignored) || known_model_hash(model)) return;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // Readers of this process's pipes must not wait for that one.
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);  // Ctrl-C in the terminal does not end it
  pid_t process = -1;
  spawn_tempera({"models", "--hash-file", model}, actions, &attributes, process);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
}

int run_background_hash(const std::string& model) {
  const int file = open(model.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 1;
  // File systems without locks: the hash is computed twice at worst.
  if (flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return 0;
  setpriority(PRIO_PROCESS, 0, 19);
  const sched_param none{};
  sched_setscheduler(0, SCHED_IDLE, &none);
  model_hash(model);
  close(file);
  return 0;
}

}  // namespace tempera::cli
