// The list of fields, and their names in messages, which are never the flags of the command line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tempera/tempera.h"

namespace tempera {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::vector<std::string> names(const Message& message) {
  std::vector<std::string> found;
  for (const Message::Mention& mention : message.mentions)
    found.push_back(message.text.substr(mention.begin, mention.length));
  return found;
}

const Field* find_field(std::string_view name) {
  for (const Field& field : request_fields())
    if (field.name == name) return &field;
  return nullptr;
}

TEST(RequestFields, NameThemselvesInMistakes) {
  const std::string wrong = "\1 num_inference_steps width --steps";
  int refused = 0;
  for (const Field& field : request_fields()) {
    Request request;
    EngineOptions engine;
    try {
      field.set(request, engine, wrong);
    } catch (const Error& error) {
      ++refused;
      EXPECT_THAT(error.what(), StartsWith(std::string(field.name) + " is '" + wrong + "': give "));
      EXPECT_THAT(names(error.message()), ElementsAre(field.name));
    }
  }
  EXPECT_GE(refused, 20);
}

TEST(RequestFields, AreReadAsTheyAreWritten) {
  Request request{.prompt = "a", .prompt_2 = "b", .width = 64, .height = 128, .num_inference_steps = 3};
  request.original_size = {8, 16};
  request.scheduler = "Euler a";
  request.schedule = "SGM Uniform";
  request.timesteps = {999, 500, 1};
  request.sigmas = {14.615, 0.1, 0};
  request.eta = 0.7;
  EngineOptions engine{
      .model = "m", .models_dir = {"a", "b"}, .device = "cuda", .eager = true, .threads = 3, .vae_tile_size = 512};
  Request read_request;
  EngineOptions read_engine;
  int written = 0;
  for (const Field& field : request_fields()) {
    const std::optional<std::string> value = field.get(request, engine);
    if (!value) continue;
    ++written;
    field.set(read_request, read_engine, *value);
    EXPECT_EQ(field.get(read_request, read_engine), value) << field.name;
  }
  EXPECT_GT(written, 17);
  EXPECT_THAT(read_engine.models_dir, ElementsAre("a", "b"));
  EXPECT_EQ(read_request.timesteps, request.timesteps);
  EXPECT_EQ(read_request.sigmas, request.sigmas);
}

TEST(RequestFields, HaveHelpThatNamesOthersInBackquotes) {
  std::set<std::string> named;
  for (const Field& field : request_fields()) {
    const std::string help(field.help);
    EXPECT_THAT(help, Not(HasSubstr("--")));
    for (size_t at = help.find('`'); at != std::string::npos; at = help.find('`', at + 1)) {
      const size_t end = help.find('`', at + 1);
      ASSERT_NE(end, std::string::npos) << help;
      const std::string name = help.substr(at + 1, end - at - 1);
      EXPECT_NE(find_field(name), nullptr) << help;
      named.insert(name);
      at = end;
    }
  }
  EXPECT_THAT(named, testing::IsSupersetOf({"dtype", "memory_budget", "num_images_per_prompt", "vae_tiling"}));
}

TEST(RequestFields, OfMetadataAreOfThePicture) {
  int count = 0;
  for (const Field& field : request_fields()) {
    if (!field.has(FieldTrait::in_metadata)) continue;
    ++count;
    EXPECT_EQ(field.group, FieldGroup::request) << field.name;
  }
  EXPECT_GT(count, 0);
  EXPECT_FALSE(find_field("prompt_embeds")->has(FieldTrait::in_metadata)) << "a path of this machine";
  EXPECT_FALSE(find_field("scheduler_config")->has(FieldTrait::in_metadata)) << "a path of this machine";
}

struct Mistake {
  EngineOptions engine;
  Request request;
  std::string said;  // the beginning of the message
  std::vector<std::string> names;
};

TEST(Messages, OfRequestsNameFields) {
  const std::vector<Mistake> mistakes = {
      {{}, {.width = 1001}, "width is 1001: give a number divisible by ", {"width"}},
      {{}, {.height = 1001}, "height is 1001: give a number divisible by ", {"height"}},
      {{},
       {.width = 1 << 14, .height = 1 << 14},
       "16384x16384 is more than 67108864 pixels: give a smaller width or height",
       {"width", "height"}},
      {{},
       {.num_inference_steps = 0},
       "num_inference_steps is 0: give a number of steps from 1 to 10000",
       {"num_inference_steps"}},
      {{},
       {.num_images_per_prompt = 0},
       "num_images_per_prompt is 0: give a number of pictures, 1 or more",
       {"num_images_per_prompt"}},
      {{},
       {.num_inference_steps = 2, .denoising_end = 1e-9},
       "denoising_end 1e-09 leaves no step: give a larger fraction or a larger num_inference_steps",
       {"denoising_end", "num_inference_steps"}},
      {{},
       {.scheduler = "euler", .scheduler_config = "width"},
       "scheduler and scheduler_config are both given",
       {"scheduler", "scheduler_config"}},
      {{}, {.scheduler = "eulr"}, "there is no scheduler 'eulr'; choose one of the nearest (euler, ", {"scheduler"}},
      {{},
       {.scheduler = "euler", .schedule = "karass"},
       "there is no schedule 'karass'; choose one of the nearest (karras, ",
       {"schedule"}},
      {{},
       {.scheduler = "dpmpp_2m_karras", .schedule = "beta"},
       "scheduler 'dpmpp_2m_karras' says karras, but schedule is beta: give one of them",
       {"scheduler", "schedule"}},
      {{},
       {.scheduler = "euler_a", .timesteps = {5}},
       "EulerAncestralDiscreteScheduler does not read timesteps: leave timesteps out, or choose ",
       {"timesteps", "timesteps"}},
      {{},
       {.scheduler = "euler", .eta = 0.5},
       "EulerDiscreteScheduler does not read eta: leave eta out",
       {"eta", "eta"}},
      {{},
       {.num_inference_steps = 3, .scheduler = "euler", .sigmas = {5, 0}},
       "num_inference_steps is 3, but sigmas is for 1 steps: leave num_inference_steps out",
       {"num_inference_steps", "sigmas", "num_inference_steps"}},
      {{.memory_budget = "memory_budget"}, {}, "memory_budget is 'memory_budget': give an amount", {"memory_budget"}},
      {{.pinned_memory = "dtype"}, {}, "pinned_memory is 'dtype': give an amount", {"pinned_memory"}},
      {{.offload = "model", .memory_budget = "6GiB"},
       {},
       "memory_budget chooses what is offloaded: leave out offload model",
       {"memory_budget", "offload"}},
      {{.memory_budget = "1MiB"}, {}, "nothing fits into 1 MiB: give memory_budget more", {"memory_budget"}},
      {{.vae_tiling = true, .vae_tile_size = 100}, {}, "vae_tile_size is 100: give a number", {"vae_tile_size"}},
      {{.model = "width"}, {}, "preset and model are both given", {"preset", "model"}},
      {{.device = "cpu", .dtype = "fp16"}, {}, "dtype fp16 needs device cuda", {"dtype", "device"}},
      {{.device = "cpu", .vae_dtype = "fp16"}, {}, "vae_dtype fp16 needs device cuda", {"vae_dtype", "device"}},
  };
  for (const Mistake& mistake : mistakes) {
    EngineOptions engine = mistake.engine;
    engine.preset = "tiny";
    if (engine.device == "auto") engine.device = "cuda";  // planned for without one
    try {
      plan(engine, mistake.request);
      ADD_FAILURE() << "no error: " << mistake.said;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), StartsWith(mistake.said));
      EXPECT_THAT(error.what(), Not(HasSubstr("--")));
      EXPECT_THAT(names(error.message()), ElementsAreArray(mistake.names)) << error.what();
    }
  }
}

TEST(Messages, NameNoFieldInTextOfTheUser) {
  try {
    plan({.preset = "width", .device = "cuda"}, {});
    ADD_FAILURE() << "there is no such preset";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("'width'"));
    EXPECT_THAT(names(error.message()), testing::IsEmpty());
  }
}

}  // namespace
}  // namespace tempera
