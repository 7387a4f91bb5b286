#include "interrupt.h"

#include <atomic>
#include <csignal>
#include <initializer_list>

namespace tempera::cli {
namespace {

// A signal handler can only access globals.
std::atomic<int> g_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free);

}  // namespace

extern "C" void tempera_remember_signal(int signal) {
  g_signal.store(signal);
}

void catch_interrupts() {
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction action {};
    if (sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) continue;
    action = {};
    action.sa_handler = tempera_remember_signal;
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
    sigaction(signal, &action, nullptr);
  }
}

void ignore_write_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

bool interrupted() {
  return g_signal.load() != 0;
}

int interrupted_exit_status() {
  return 128 + g_signal.load();
}

}  // namespace tempera::cli
