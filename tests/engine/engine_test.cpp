// Several jobs of one engine: a job between two steps of another does not change its result.
#include <gtest/gtest.h>

#include "base/error.h"
#include "jobs.h"

namespace tempera::test {
namespace {

// Samplers with a state of one latent and of several, with noise in every step and without, with thresholding and
// without, with guidance and without.
std::vector<Request> unlike_jobs() {
  Request plain = small_request("a red apple", 1, 3);
  Request history = small_request("a cat", 2, 5);
  history.scheduler = "dpmpp_2m_karras";
  history.guidance_scale = 2;
  Request noisy = small_request("blue strawberry", 3, 4);
  noisy.scheduler = "euler_a";
  noisy.num_images_per_prompt = 2;
  Request unguided = small_request("a sailboat", 4, 2);
  unguided.guidance_scale = 1;
  unguided.scheduler = "unipc";
  Request rescaled = small_request("a dog", 5, 3);
  rescaled.guidance_rescale = 0.7;
  Request thresholded = small_request("a pear", 6, 4);
  thresholded.scheduler_config = thresholding_config();
  return {plain, history, noisy, unguided, rescaled, thresholded};
}

// A preset must not give the default model.
TEST(Engine, RefusesAPreset) {
  EngineOptions options = small_engine();
  options.preset = "tiny";
  try {
    const Engine engine(options);
    FAIL() << "opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    EXPECT_NE(std::string(error.what()).find("preset"), std::string::npos) << error.what();
  }
}

TEST(Engine, DecodesBetweenStepsWithoutChangingThePicture) {
  Engine engine(small_engine());
  for (const Request& request : unlike_jobs()) {
    Job job = engine.start(request);
    std::vector<std::vector<uint8_t>> previews;
    while (!job.finished()) {
      engine.step(job);
      previews.push_back(engine.decode(job, 0).rgb);
    }
    const std::vector<Image> expected = alone(request);
    expect_equal(finished(engine, job), expected, request.prompt);
    if (job.images() == 1) {
      EXPECT_EQ(previews.back(), expected[0].rgb);
    }
    EXPECT_NE(previews.front(), previews.back());
  }
}

TEST(Engine, StepsJobsInTurns) {
  Engine engine(small_engine());
  std::vector<Request> requests = unlike_jobs();
  requests[1].width = 128;  // another shape: other programs in the same memory
  std::vector<Job> jobs;
  for (const Request& request : requests) jobs.push_back(engine.start(request));
  for (bool more = true; more;) {
    more = false;
    for (Job& job : jobs) {
      if (job.finished()) continue;
      engine.step(job);
      more = true;
    }
  }
  for (size_t i = 0; i < jobs.size(); ++i)
    expect_equal(finished(engine, jobs[i]), alone(requests[i]), requests[i].prompt);
}

TEST(Engine, ResumesAJobThatWasParkedWhileOthersBeganAndEnded) {
  Engine engine(small_engine());
  const std::vector<Request> requests = unlike_jobs();
  for (const Request& request : requests) {
    Job parked = engine.start(request);
    engine.step(parked);
    for (Request other : requests) {
      other.num_inference_steps = 1;
      Job job = engine.start(other);
      finished(engine, job);
    }
    expect_equal(finished(engine, parked), alone(request), request.prompt);
  }
}

TEST(Engine, StepsUnlikeJobsTogether) {
  Engine engine(small_engine());
  const std::vector<Request> requests = unlike_jobs();
  std::vector<Job> jobs;
  for (const Request& request : requests) jobs.push_back(engine.start(request));
  engine.step(jobs[1]);  // the jobs are at different steps
  engine.step(jobs[2]);
  while (true) {
    std::vector<Job*> unfinished;
    for (Job& job : jobs)
      if (!job.finished()) unfinished.push_back(&job);
    if (unfinished.empty()) break;
    engine.step(unfinished);
  }
  for (size_t i = 0; i < jobs.size(); ++i) expect_as_alone(finished(engine, jobs[i]), requests[i]);
}

TEST(Engine, CountsTheStepsOfAJob) {
  Engine engine(small_engine());
  Request request = small_request("a red apple", 1, 2);
  request.num_images_per_prompt = 2;
  Job job = engine.start(request);
  EXPECT_EQ(job.images(), 2);
  EXPECT_EQ(job.steps(), on_card() ? 2u : 4u);
  for (size_t step = 0; step < job.steps(); ++step) {
    EXPECT_EQ(job.step(), step);
    EXPECT_FALSE(job.finished());
    engine.step(job);
  }
  EXPECT_TRUE(job.finished());
}

TEST(Engine, GivesLatentsThatAnotherJobCanGoOnWith) {
  Engine engine(small_engine());
  const Request request = small_request("a red apple", 1, 4);
  Job first = engine.start(request);
  engine.step(first);
  engine.step(first);
  const std::vector<float> latents = first.latents(0);
  ASSERT_EQ(latents.size(), 4u * 8 * 8);
  Request other = request;
  other.seed = 99;  // different latents
  Job second = engine.start(other);
  engine.step(second);
  engine.step(second);
  EXPECT_NE(second.latents(0), latents);
  second.set_latents(0, latents);
  EXPECT_EQ(second.latents(0), latents);
  const std::vector<uint8_t> expected = alone(request)[0].rgb;
  EXPECT_EQ(finished(engine, second)[0].rgb, expected);
  EXPECT_EQ(finished(engine, first)[0].rgb, expected);
}

// The first latents are the noise of torch.randn((1, 4, 8, 8)) times the sampler's sigma, in the order (C, H, W).
TEST(Engine, GivesLatentsInDiffusersOrder) {
  Engine engine(small_engine());
  Job job = engine.start(small_request("a red apple", 1));
  std::vector<float> latents = job.latents(0);
  const std::vector<float> first = latents;
  for (size_t i = 0; i < 64; ++i) latents[i] = 0;  // the first channel
  job.set_latents(0, latents);
  const std::vector<float> changed = job.latents(0);
  EXPECT_EQ(std::vector<float>(changed.begin() + 64, changed.end()),
            std::vector<float>(first.begin() + 64, first.end()));
  EXPECT_EQ(std::vector<float>(changed.begin(), changed.begin() + 64), std::vector<float>(64));
}

TEST(Engine, RefusesWhatCannotBe) {
  Engine engine(small_engine());
  Job job = engine.start(small_request("a red apple", 1, 1));
  EXPECT_THROW(job.latents(1), Error);
  EXPECT_THROW(job.latents(-1), Error);
  EXPECT_THROW(job.set_latents(0, std::vector<float>(3)), Error);
  EXPECT_THROW(engine.step({&job, &job}), Error);
  EXPECT_FALSE(job.failed());
  engine.step(job);
  EXPECT_THROW(engine.step(job), Error);
  EXPECT_EQ(finished(engine, job)[0].rgb, alone(small_request("a red apple", 1, 1))[0].rgb);
}

// `cancelled` is polled between kernels, so the n-th poll stops in the middle of a step.
TEST(Engine, GoesOnWithOtherJobsWhenOneIsStopped) {
  if (on_card()) GTEST_SKIP() << "kernels of a recording are not polled between";
  Engine engine(small_engine());
  const Request request = small_request("a cat", 2);
  Job other = engine.start(request);
  engine.step(other);
  Job stopped = engine.start(small_request("a red apple", 1));
  engine.step(stopped);
  int polls = 0;
  Callbacks callbacks;
  callbacks.cancelled = [&] { return ++polls > 40; };
  EXPECT_THROW(engine.step(stopped, callbacks), Error);
  EXPECT_TRUE(stopped.failed());
  EXPECT_THROW(engine.step(stopped), Error);
  EXPECT_THROW(engine.decode(stopped, 0), Error);
  EXPECT_FALSE(other.failed());
  expect_equal(finished(engine, other), alone(request), request.prompt);
}

// When a decode is stopped, streamed parameters may be anywhere. The next decode copies them again.
TEST(Engine, DecodesAgainAfterADecodeWasStopped) {
  for (const char* offload : {"none", "model", "sequential"}) {
    EngineOptions options = small_engine();
    options.offload = offload;
    Engine engine(options);
    const Request request = small_request("a red apple", 1, 2);
    Job job = engine.start(request);
    while (!job.finished()) engine.step(job);
    for (const int most : {1, 20, 45}) {
      int polls = 0;
      Callbacks callbacks;
      callbacks.cancelled = [&] { return ++polls > most; };
      if (on_card()) {
        engine.decode(job, 0);
      } else {
        EXPECT_THROW(engine.decode(job, 0, callbacks), Error);
      }
      EXPECT_EQ(engine.decode(job, 0).rgb, alone(request, options)[0].rgb) << offload;
    }
  }
}

TEST(Engine, PollsForCancellationWhileTextsAreEncoded) {
  Engine engine(small_engine());
  engine.start(small_request("a red apple", 1));  // loads the encoders, so that later polls are not during packing
  bool encoding = false;
  Callbacks callbacks;
  callbacks.progress = [&](const Progress& progress) { encoding = progress.stage == "text"; };
  callbacks.cancelled = [&] { return encoding; };
  EXPECT_THROW(engine.start(small_request("a cat", 1), callbacks), Error);
  EXPECT_TRUE(encoding);
}

TEST(Pipeline, GivesEachPictureWhenItIsFinished) {
  Request request = small_request("a red apple", 1, 1);
  request.num_images_per_prompt = 3;
  Pipeline pipeline(small_engine());
  std::vector<Image> given;
  Callbacks callbacks;
  callbacks.picture = [&](int index, const Image& image) {
    EXPECT_EQ(index, static_cast<int>(given.size()));
    given.push_back(image);
  };
  const std::vector<Image> whole = pipeline.generate(request, callbacks).images;
  expect_equal(given, whole, "given");
  if (on_card()) return;  // kernels of a recording are not polled between
  given.clear();
  callbacks.cancelled = [&] { return !given.empty(); };
  EXPECT_THROW(pipeline.generate(request, callbacks), Error);
  ASSERT_EQ(given.size(), 1u);
  EXPECT_EQ(given[0].rgb, whole[0].rgb);
}

TEST(Engine, DropsAJobBetweenSteps) {
  Engine engine(small_engine());
  const Request request = small_request("a cat", 2);
  Job kept = engine.start(request);
  {
    Job dropped = engine.start(request);
    engine.step({&kept, &dropped});
  }
  expect_as_alone(finished(engine, kept), request);
}

}  // namespace
}  // namespace tempera::test
