#include "help.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>

#include "fields.h"
#include "number_of.h"
#include "tempera/error.h"

namespace tempera::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// A command with every field, parsed as main does it.
struct CommandOfAllFields {
  CommandOfAllFields() : app("draws", "tempera") {
    app.allow_extras();
    add_fields(app, inputs, [](const Field&) { return true; });
  }

  std::string error_of(std::vector<std::string> arguments) {
    arguments = separate_empty_values(arguments);
    std::reverse(arguments.begin(), arguments.end());
    try {
      app.parse(std::move(arguments));
      refuse_left_over(app);
    } catch (const CLI::ParseError& error) {
      return describe(error, app);
    } catch (const Error& error) {
      return message_of(error);
    }
    return "";
  }

  CLI::App app;
  Inputs inputs;
};

TEST(Fields, AreReadByBothNames) {
  CommandOfAllFields command;
  EXPECT_EQ(command.error_of({"a red apple", "--steps", "7", "--num-images-per-prompt=2", "--eager"}), "");
  EXPECT_TRUE(command.inputs.gives("prompt"));
  EXPECT_EQ(command.inputs.request.prompt, "a red apple");
  EXPECT_EQ(command.inputs.request.num_inference_steps, 7);
  EXPECT_EQ(command.inputs.request.num_images_per_prompt, 2);
  EXPECT_TRUE(command.inputs.engine.eager);
}

TEST(Fields, AreFlagsInMessages) {
  EXPECT_EQ(flag_of("num_inference_steps"), "--steps");
  EXPECT_EQ(flag_of("vae_tile_size"), "--vae-tile-size");
  EXPECT_EQ(flag_of("repeats"), "--repeats");
  const Message message{"width: 'width' is no width, see num_images_per_prompt", {{0, 5}, {32, 21}}};
  EXPECT_EQ(message_of(Error(ErrorCode::bad_file, message)), "--width: 'width' is no width, see --images");
  EXPECT_EQ(message_of(Error(ErrorCode::bad_file, "there is no model 'width'")), "there is no model 'width'");
  EXPECT_EQ(message_of(Error(ErrorCode::bad_file, Message{"give prompt_embeds a file", {{5, 13}}})),
            "give --prompt-embeds a file (tempera encode writes such files)");
}

TEST(Fields, AreFlagsInHelp) {
  CommandOfAllFields command;
  std::string text = help_text(command.app, 1000);
  EXPECT_THAT(text, HasSubstr("turns --vae-tiling on"));
  EXPECT_THAT(text, HasSubstr("memory never grows with --images"));
  EXPECT_THAT(text, HasSubstr("(default: as --dtype)"));
  EXPECT_THAT(text, HasSubstr("no text encoder is opened (tempera encode writes such files)"));
  EXPECT_THAT(text, testing::Not(HasSubstr("`")));
}

TEST(Fields, EmptyTextIsAValue) {
  CommandOfAllFields command;
  EXPECT_EQ(command.error_of({"--negative-prompt=", "--prompt", "", "--seed", "3"}), "");
  EXPECT_EQ(command.inputs.request.negative_prompt, "");
  EXPECT_EQ(command.inputs.request.prompt, "");
  EXPECT_EQ(command.inputs.request.seed, 3u);
}

TEST(Fields, TextsThatLookLikeSyntaxStayTexts) {
  for (const std::string text : {"[a, b]", "{}", "%%", "'x'", "info", "a=b", "\"q\"", "-1"}) {
    CommandOfAllFields command;
    EXPECT_EQ(command.error_of({"--prompt", text}), "") << text;
    EXPECT_EQ(command.inputs.request.prompt, text);
  }
}

TEST(Fields, TheLastOfSeveralCountsButNotForPrompts) {
  CommandOfAllFields command;
  EXPECT_EQ(command.error_of({"a", "--steps", "7", "--steps", "8"}), "");
  EXPECT_EQ(command.inputs.request.num_inference_steps, 8);
  CommandOfAllFields twice;
  EXPECT_THAT(twice.error_of({"--prompt", "a", "--prompt", "b"}), StartsWith("--prompt is given more than once"));
}

TEST(Mistakes, NameTheOptionAndTheRemedy) {
  const auto error_of = [](std::vector<std::string> arguments) {
    return CommandOfAllFields().error_of(std::move(arguments));
  };
  EXPECT_EQ(error_of({"a", "--stesp", "4"}), "unknown option --stesp: did you mean --steps? (see tempera --help)");
  EXPECT_EQ(error_of({"a", "--banana"}), "unknown option --banana: see tempera --help");
  EXPECT_EQ(error_of({"a", "-x"}), "unknown option -x: see tempera --help");
  EXPECT_THAT(error_of({"a", "red", "apple"}), StartsWith("unexpected argument 'red': put a prompt of several words"));
  EXPECT_EQ(error_of({"a", "--steps"}), "--steps needs a value (N): see tempera --help");
  EXPECT_EQ(error_of({"--prompt", "--steps", "4"}),
            "--prompt needs a value (TEXT), but the option --steps follows it (see tempera --help)");
  EXPECT_THAT(error_of({"a", "--steps", "0"}), HasSubstr("--steps is '0'"));
}

TEST(NumberOf, TakesWholeNumbersWithinTheBounds) {
  EXPECT_EQ(number_of("--runs", "1", 1, 1000), 1);
  EXPECT_EQ(number_of("--runs", "1000", 1, 1000), 1000);
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(number_of<uint64_t>("--seed", "18446744073709551615", 0, kMost), kMost);
  for (const std::string text : {"0", "1001", "", "abc", "3x", "3.5", " 3", "99999999999999999999"}) {
    try {
      number_of("--runs", text, 1, 1000);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
      EXPECT_EQ(error.what(), "--runs is '" + text + "': give a number from 1 to 1000");
    }
  }
  EXPECT_THROW(number_of<uint64_t>("--seed", "-1", 0, kMost), Error);
}

TEST(SeparateEmptyValues, LeavesEverythingElseAlone) {
  EXPECT_THAT(separate_empty_values({"--a=", "--b=c", "--=", "d=", "--", "--a="}),
              ElementsAre("--a", "", "--b=c", "--=", "d=", "--", "--a="));
}

TEST(HelpText, ListsEveryFieldWithItsDefault) {
  CommandOfAllFields command;
  command.app.footer("First line.\n\n" + std::string(20, 'a') + " " + std::string(70, 'b'));
  const std::string text = help_text(command.app, 80);
  EXPECT_THAT(text, testing::EndsWith("First line.\n\n" + std::string(20, 'a') + "\n" + std::string(70, 'b') + "\n"));
  for (const Field& field : request_fields()) EXPECT_THAT(text, HasSubstr("  " + std::string(field.flag)));
  EXPECT_THAT(text, HasSubstr("--images N                  number of pictures (default 1)\n"));
  EXPECT_THAT(text, HasSubstr("Usage: tempera [TEXT] [options]\n"));
  size_t longest = 0;
  for (size_t at = 0, end; at < text.size(); at = end + 1) {
    end = text.find('\n', at);
    longest = std::max(longest, end - at);
  }
  EXPECT_LE(longest, 80u);
}

}  // namespace
}  // namespace tempera::cli
