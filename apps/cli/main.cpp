// The command line of tempera: runs the command and returns its exit status:
//   0 done   1 it failed   2 the request or a file is wrong   130 stopped by Ctrl-C (143 by SIGTERM)
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <new>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "allocator.h"
#include "commands.h"
#include "console.h"
#include "fields.h"
#include "help.h"
#include "interrupt.h"
#include "json_text.h"
#include "tempera/error.h"
#include "version_text.h"
#include "waiting.h"

namespace tempera::cli {
namespace {

constexpr int kFailed = 1, kMistake = 2;

std::string_view name_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::bad_file:
      return "bad_file";
    case ErrorCode::out_of_memory:
      return "out_of_memory";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::io:
      return "io";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::internal:
      return "internal";
  }
  return "internal";
}

// The user can correct a wrong request, a wrong file and a missing device. All other errors are failures.
int exit_status(ErrorCode code) {
  if (code == ErrorCode::cancelled && interrupted()) return interrupted_exit_status();
  const bool mistake =
      code == ErrorCode::invalid_argument || code == ErrorCode::bad_file || code == ErrorCode::unavailable;
  return mistake ? kMistake : kFailed;
}

int report(const Error& error, bool json) {
  const std::string message = message_of(error);
  print_error(fmt::format("tempera: error: {}", message));
  if (json) {
    try {
      print_out(json_text({{"error", {{"code", name_of(error.code())}, {"message", message}}}}));
    } catch (const Error&) {
      // Standard output is closed. The line above and the exit status are enough.
    }
  }
  return exit_status(error.code());
}

size_t help_columns() {
  winsize size{};
  const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return std::clamp<size_t>(known ? size.ws_col : 100, 60, 120);
}

class CommandLine {
 public:
  CommandLine() : app_("Generates pictures from text with Stable Diffusion XL.", "tempera") {
    // Arguments that are neither a command nor an option are left over, so that refuse_left_over can suggest the right
    // one.
    app_.allow_extras();
    app_.require_subcommand(0, 1);
    app_.set_help_flag("-h,--help", "show this help");
    app_.add_flag("--version", version_wanted_, "show version, commit, backends and libraries");
    add("generate", "generate pictures from a prompt", add_generate);
    add("encode", "write the embeddings of a prompt, for use without text encoders", add_encode);
    add("plan", "show memory and arithmetic of a request, without reading weights", add_plan);
    add("info", "show the components of a model, or the settings in a picture", add_info);
    add("models", "list the models of this machine, show or verify one of them", add_models);
    add("convert", "convert a model between a single file, a diffusers folder and GGUF", add_convert);
    add("synth", "write a model with random weights, for measurements", add_synth);
    add("bench", "measure kernels, the steps of one generation, or several ways to generate pictures", add_bench);
    app_.footer("tempera COMMAND --help shows the options of a command.");
  }

  int run(std::vector<std::string> arguments) {
    arguments = separate_empty_values(arguments);
    std::reverse(arguments.begin(), arguments.end());  // CLI11 parses from the end
    try {
      app_.parse(std::move(arguments));
    } catch (const CLI::CallForHelp&) {
      print_out(help_text(chosen(), help_columns()));
      return 0;
    } catch (const CLI::ParseError& error) {
      throw Error(ErrorCode::invalid_argument, describe(error, chosen()));
    }
    for (const CLI::App* app = &app_; app != nullptr; app = parsed_command(*app)) refuse_left_over(*app);
    if (version_wanted_) {
      print_out(version_text());
      return 0;
    }
    return run_parsed_command(app_, commands_);
  }

 private:
  void add(const char* name, const char* description, Run (*declare)(CLI::App&)) {
    add_command(app_, commands_, name, description, declare);
  }

  const CLI::App& chosen() const {
    const CLI::App* app = &app_;
    while (const CLI::App* next = parsed_command(*app)) app = next;
    return *app;
  }

  CLI::App app_;
  Commands commands_;
  bool version_wanted_ = false;
};

int run(const std::vector<std::string>& arguments) {
  const auto options_end = std::find(arguments.begin(), arguments.end(), "--");
  const bool json = std::find(arguments.begin(), options_end, "--json") != options_end;
  try {
    return CommandLine().run(arguments);
  } catch (const Error& error) {
    return report(error, json);
  } catch (const std::bad_alloc&) {
    return report({ErrorCode::out_of_memory, "out of memory: ask for smaller or fewer pictures"}, json);
  } catch (const std::exception& error) {
    const auto* system = dynamic_cast<const std::system_error*>(&error);
    if (system != nullptr && system->code() == std::errc::resource_unavailable_try_again)
      return report({ErrorCode::out_of_memory,
                     "the system starts no more threads: raise the limit of the address space or of processes (ulimit "
                     "-v, ulimit -u), or give fewer --threads"},
                    json);
    return report({ErrorCode::internal, fmt::format("internal error: {}; please report it", error.what())}, json);
  }
}

}  // namespace
}  // namespace tempera::cli

int main(int argc, char** argv) {
  tempera::cli::limit_spinning(argv);
  tempera::cli::keep_large_blocks_apart();
  tempera::cli::keep_standard_streams_open();
  return tempera::cli::run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
