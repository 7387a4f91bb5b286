// Unlike requests and jobs in one process with a model of full size. Too large for the test suite: run by hand and by
// tools/gpu_check.sh.
//
//   engine_full_size_check MODEL [DEVICE [DTYPE [STEPS]]]
//
// Prints a row for each request: the planned peak and the peak measured so far, bytes packed, and the difference of the
// picture from that of a new engine. Exit status 1 if a picture differs by more than another batch size may change, or
// a peak by more than 3 % on a card (5 % on a CPU).
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "tempera/bench.h"
#include "tempera/engine.h"

namespace tempera {
namespace {

struct Named {
  const char* name;
  Request request;
};

Request sized(int side, int steps) {
  Request request;
  request.prompt = "a red apple on a wooden table";
  request.width = request.height = side;
  request.num_inference_steps = steps;
  request.seed = 1;
  return request;
}

std::vector<Named> unlike_requests(int steps) {
  Request unguided = sized(1024, steps), sampler = sized(1024, steps), several = sized(512, steps);
  unguided.guidance_scale = 1;
  sampler.scheduler = "dpmpp_2m_karras";
  several.num_images_per_prompt = 2;
  several.scheduler = "euler_a";
  return {{"512", sized(512, steps)},        {"1024", sized(1024, steps)},       {"512 again", sized(512, steps)},
          {"1024, no guidance", unguided},   {"1024, dpmpp_2m_karras", sampler}, {"2 x 512, euler_a", several},
          {"1024 again", sized(1024, steps)}};
}

std::vector<Image> draw(Engine& engine, Job& job, bool previews) {
  while (!job.finished()) {
    engine.step(job);
    if (previews) engine.decode(job, 0);
  }
  std::vector<Image> images;
  for (int i = 0; i < job.images(); ++i) images.push_back(engine.decode(job, i));
  return images;
}

PictureDifference worst(const std::vector<Image>& a, const std::vector<Image>& b) {
  PictureDifference most;
  for (size_t i = 0; i < a.size(); ++i) {
    const PictureDifference d = picture_difference(a[i].rgb, b[i].rgb);
    most.mean = std::max(most.mean, d.mean);
    most.max = std::max(most.max, d.max);
  }
  return most;
}

class Check {
 public:
  explicit Check(EngineOptions options) : options_(std::move(options)) {}

  bool passed() const { return passed_; }

  void one_engine(const char* title, const std::vector<Named>& requests, bool previews, const EngineOptions& options) {
    std::printf("%s\n", title);
    std::vector<std::vector<Image>> drawn;
    size_t most_planned = 0;
    {
      Engine engine(options);
      size_t packed = 0;
      for (const Named& one : requests) {
        Job job = engine.start(one.request);
        drawn.push_back(draw(engine, job, previews));
        most_planned = std::max(most_planned, job.plan().memory.peak_bytes);
        const double over = static_cast<double>(engine.measured_peak_bytes()) / static_cast<double>(most_planned) - 1;
        std::printf("  %-24s planned %8.1f MB  measured %8.1f MB  %+5.1f %%  packed %8.1f MB\n", one.name,
                    static_cast<double>(most_planned) / 1e6, static_cast<double>(engine.measured_peak_bytes()) / 1e6,
                    100 * over, static_cast<double>(engine.bytes_packed() - packed) / 1e6);
        packed = engine.bytes_packed();
        if (over > (options.device == "cuda" ? 0.03 : 0.05)) passed_ = false;
      }
    }
    for (size_t i = 0; i < requests.size(); ++i) {
      const PictureDifference d = worst(drawn[i], Pipeline(options).generate(requests[i].request).images);
      std::printf("  %-24s against a fresh engine: mean %.4f, largest %d\n", requests[i].name, d.mean, d.max);
      if (d.max > 0) passed_ = false;
    }
  }

  // Guided and unguided, at different steps, with different samplers.
  void together(int steps) {
    std::vector<Named> requests = unlike_requests(steps);
    requests = {requests[1], requests[3], requests[4]};
    Engine engine(options_);
    std::vector<Job> jobs;
    for (const Named& one : requests) jobs.push_back(engine.start(one.request));
    engine.step(jobs[2]);
    while (true) {
      std::vector<Job*> unfinished;
      for (Job& job : jobs)
        if (!job.finished()) unfinished.push_back(&job);
      if (unfinished.empty()) break;
      engine.step(unfinished);
    }
    std::printf("three jobs in one batch\n");
    for (size_t i = 0; i < jobs.size(); ++i) {
      Job alone = engine.start(requests[i].request);
      const PictureDifference d = worst(draw(engine, jobs[i], false), draw(engine, alone, false));
      std::printf("  %-24s against the same job alone: mean %.4f, largest %d\n", requests[i].name, d.mean, d.max);
      if (d.mean > 0.5) passed_ = false;
    }
  }

 private:
  EngineOptions options_;
  bool passed_ = true;
};

int run(int argc, char** argv) {
  EngineOptions options;
  options.model = argv[1];
  options.device = argc > 2 ? argv[2] : "auto";
  options.dtype = argc > 3 ? argv[3] : "auto";
  const int steps = argc > 4 ? std::stoi(argv[4]) : 4;
  Check check(options);
  const std::vector<Named> requests = unlike_requests(steps);
  check.one_engine("unlike requests", requests, false, options);
  check.one_engine("with a preview after every step", {requests[1], requests[5]}, true, options);
  EngineOptions tiles = options;
  tiles.vae_tiling = true;
  check.one_engine("in tiles", {requests[0], requests[1], requests[0]}, false, tiles);
  for (const char* offload : {"model", "sequential"}) {
    EngineOptions offloaded = options;
    offloaded.offload = offload;
    check.one_engine(offload, {requests[0], requests[1], requests[0]}, true, offloaded);
  }
  EngineOptions budget = options;
  budget.memory_budget = "2GiB";
  check.one_engine("within 2 GiB", {requests[0], requests[1], requests[0]}, false, budget);
  check.together(steps);
  return check.passed() ? 0 : 1;
}

}  // namespace
}  // namespace tempera

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: engine_full_size_check MODEL [DEVICE [DTYPE [STEPS]]]\n");
    return 2;
  }
  try {
    return tempera::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "engine_full_size_check: %s\n", error.what());
    return 1;
  }
}
