#include "help.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <string_view>

#include "tempera/error.h"
#include "tempera/suggest.h"

namespace tempera::cli {
namespace {

constexpr size_t kNameColumns = 30;  // of an option's names, indentation included

// `text` in lines of at most `columns`, all but the first one indented; ends without a line break.
std::string wrap(std::string_view text, size_t columns, size_t indent) {
  std::string result;
  size_t column = indent;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (column > indent && column + 1 + word.size() > columns) {
      result += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      result += ' ';
      ++column;
    }
    result += word;
    column += word.size();
  }
  return result;
}

std::string row(const std::string& name, const std::string& text, size_t columns) {
  std::string line = "  " + name;
  if (line.size() + 1 > kNameColumns) {
    line += "\n" + std::string(kNameColumns, ' ');
  } else {
    line.resize(kNameColumns, ' ');
  }
  return line + wrap(text, columns, kNameColumns) + "\n";
}

// "-o, --output NAME", or the name of an argument without an option.
std::string names_of(const CLI::Option& option) {
  std::string names;
  for (const std::string& name : option.get_snames()) names += (names.empty() ? "-" : ", -") + name;
  if (!option.get_lnames().empty()) names += (names.empty() ? "--" : ", --") + option.get_lnames().front();
  if (names.empty()) return option.get_type_name();
  const bool is_flag = option.get_expected_max() == 0 || option.get_type_name().empty();
  return is_flag ? names : names + " " + option.get_type_name();
}

std::string usage(const CLI::App& app) {
  std::string text = "Usage: " + command_name(app);
  if (!app.get_subcommands([](const CLI::App*) { return true; }).empty()) return text + " COMMAND [options]\n";
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) continue;
    const bool needed = option->get_lnames().empty();  // a positional that is an option too may be given as that
    text += needed ? " " + option->get_type_name() : " [" + option->get_type_name() + "]";
  }
  return text + " [options]\n";
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

}  // namespace

std::string command_name(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name() : command_name(*app.get_parent()) + " " + app.get_name();
}

std::string help_text(const CLI::App& app, size_t columns) {
  std::string text = wrap(app.get_description(), columns, 0) + "\n\n" + usage(app);
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  if (!commands.empty()) text += "\nCommands:\n";
  for (const CLI::App* command : commands) text += row(command->get_name(), command->get_description(), columns);
  for (const std::string& group : app.get_groups()) {
    if (group.empty()) continue;  // internal options, between two processes of tempera
    const auto options = app.get_options([&group](const CLI::Option* option) { return option->get_group() == group; });
    if (options.empty()) continue;
    text += fmt::format("\n{}:\n", group);
    for (const CLI::Option* option : options) text += row(names_of(*option), option->get_description(), columns);
  }
  const std::string footer = app.get_footer();
  if (!footer.empty()) text += "\n";
  for (size_t at = 0, end; at < footer.size(); at = end + 1) {
    end = std::min(footer.find('\n', at), footer.size());
    text += wrap(std::string_view(footer).substr(at, end - at), columns, 0) + "\n";
  }
  return text;
}

std::vector<std::string> separate_empty_values(const std::vector<std::string>& arguments) {
  std::vector<std::string> result;
  bool options = true;  // until "--"
  for (const std::string& argument : arguments) {
    options = options && argument != "--";
    const bool empty_value =
        argument.size() > 3 && argument.starts_with("--") && argument.find('=') == argument.size() - 1;
    if (options && empty_value) {
      result.push_back(argument.substr(0, argument.size() - 1));
      result.emplace_back();
    } else {
      result.push_back(argument);
    }
  }
  return result;
}

void refuse_left_over(const CLI::App& app) {
  const std::vector<std::string> left = app.remaining();
  if (left.empty()) return;
  const std::string help = command_name(app) + " --help";
  const auto option =
      std::find_if(left.begin(), left.end(), [](const std::string& text) { return text.starts_with("-"); });
  const bool has_commands = !app.get_subcommands([](const CLI::App*) { return true; }).empty();
  if (option == left.begin() || (option != left.end() && !has_commands)) {
    const std::string guess = nearest(*option, option_names(app));
    if (guess.empty()) refuse(fmt::format("unknown option {}: see {}", *option, help));
    refuse(fmt::format("unknown option {}: did you mean {}? (see {})", *option, guess, help));
  }
  if (has_commands) {
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
      names.push_back(command->get_name());
    }
    const std::string guess = nearest(left.front(), names);
    if (guess.empty()) refuse(fmt::format("unknown command '{}': see {}", left.front(), help));
    refuse(fmt::format("unknown command '{}': did you mean {}? (see {})", left.front(), guess, help));
  }
  if (app.get_option_no_throw("--prompt") != nullptr) {
    refuse(
        fmt::format("unexpected argument '{}': put a prompt of several words in quotes (see {})", left.front(), help));
  }
  refuse(fmt::format("unexpected argument '{}': see {}", left.front(), help));
}

std::string describe(const CLI::ParseError& error, const CLI::App& app) {
  const std::string what = error.what();
  const std::string help = command_name(app) + " --help";
  const std::string name = what.substr(0, what.find(':'));
  const CLI::Option* option = app.get_option_no_throw(name);
  if (option != nullptr && error.get_name() == "ArgumentMismatch") {
    if (option->results().size() > 1) return fmt::format("{} is given more than once: see {}", name, help);
    return fmt::format("{} needs a value ({}): see {}", name, option->get_type_name(), help);
  }
  return fmt::format("{}: see {}", what, help);
}

}  // namespace tempera::cli
