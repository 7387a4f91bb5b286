// The steps of jobs: alone, or several in one batch.
#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/parallel.h"
#include "pipeline/engine.h"
#include "program/overhead.h"

namespace tempera {
namespace {

// Batches of several jobs whose programs are remembered.
constexpr size_t kMostMerged = 8;

// Whether pictures of both can be rows of one batch: the sizes and the way to compute are the same.
bool alike(const Prepared& a, const Prepared& b) {
  ProgramOptions as_b = a.fitted.options;
  as_b.images_per_forward = b.fitted.options.images_per_forward;
  as_b.text = b.fitted.options.text;
  as_b.decoder = b.fitted.options.decoder;
  return as_b == b.fitted.options && !as_b.two_passes && a.shape.latent_width == b.shape.latent_width &&
         a.shape.latent_height == b.shape.latent_height;
}

}  // namespace

void Engine::Impl::use_for(std::span<Job::Impl* const> jobs, const Program* merged) {
  std::vector<std::shared_ptr<const Stages>> stages;
  Parameters::Others others = Parameters::Others::keep;
  for (const Job::Impl* job : jobs) {
    const Prepared& prepared = job->prepared();
    const std::shared_ptr<const Stages> own = stages_of(job->prepared_pointer());
    if (std::ranges::find(stages, own) == stages.end()) stages.push_back(own);
    if (others_for(prepared) == Parameters::Others::drop) others = Parameters::Others::drop;
  }
  activate(stages, merged, others, false);
}

Forward& Engine::Impl::forward_of(const Program& program, const Batch& batch) {
  Executable& executable = *executable_of_.at(&program);
  std::unique_ptr<Forward>& forward = forwards_[&executable];
  if (!forward) forward = std::make_unique<Forward>(executable, batch, *backend_, *queue_);
  return *forward;
}

void Engine::Impl::step(std::span<Job::Impl* const> jobs, const CheckCancelled& check) {
  const ThreadScope scope(threads_);
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (jobs[i]->failed())
      fail(ErrorCode::invalid_argument, "a job that was stopped in the middle of a step cannot go on: start it again");
    if (jobs[i]->finished()) fail(ErrorCode::invalid_argument, "a job is stepped that is finished: decode it");
    if (std::find(jobs.begin(), jobs.begin() + static_cast<std::ptrdiff_t>(i), jobs[i]) !=
        jobs.begin() + static_cast<std::ptrdiff_t>(i))
      fail(ErrorCode::invalid_argument, "a job is named twice in one step: name each once");
  }
  if (jobs.size() > 1 && !limits_.budget.given())
    use_for(jobs, nullptr);  // so that no step drops the programs of the next one
  std::vector<Job::Impl*> left(jobs.begin(), jobs.end());
  while (!left.empty()) {
    std::vector<Job::Impl*> together;
    std::erase_if(left, [&](Job::Impl* job) {
      const bool with = together.empty() ||
                        (backend_->target().batches_pictures && alike(together.front()->prepared(), job->prepared()) &&
                         together.front()->request().adapters == job->request().adapters);
      if (with) together.push_back(job);
      return with;
    });
    if (together.size() > 1 && step_together(together, check)) continue;
    for (Job::Impl* job : together) step_alone(*job, check);
  }
}

void Engine::Impl::step_alone(Job::Impl& job, const CheckCancelled& check) {
  Job::Impl* const jobs[] = {&job};
  use_for(jobs, nullptr);
  adapted_.set(job.request().adapters);
  const Program& program = job.prepared().denoise().programs.front();
  executable_of_.at(&program)->load(check);
  forward_of(program, job.prepared().batch()).step(job.next(), check);
}

// One program for all of them. False where there is no memory for it.
bool Engine::Impl::step_together(std::span<Job::Impl* const> jobs, const CheckCancelled& check) {
  std::vector<Picture*> pictures;
  Batch batch{0, 0, 1};
  for (Job::Impl* job : jobs)
    for (Picture* picture : job->next()) {
      pictures.push_back(picture);
      ++batch.images;
      batch.guided += picture->guided() ? 1 : 0;
      batch.slots = std::max(batch.slots, picture->slots());
      batch.guidance_rescale = batch.guidance_rescale || picture->request->guidance_rescale;
      batch.thresholding = batch.thresholding || picture->request->schedule.thresholds();
      batch.blend = batch.blend || picture->request->blending != Blending::none;
    }
  std::stable_partition(pictures.begin(), pictures.end(), [](const Picture* picture) { return picture->guided(); });
  const Merged* merged = merged_for(jobs, batch);
  if (merged == nullptr) return false;
  try {
    use_for(jobs, &merged->program);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::out_of_memory) throw;
    return false;
  }
  adapted_.set(jobs.front()->request().adapters);  // all have the same
  executable_of_.at(&merged->program)->load(check);
  forward_of(merged->program, batch).step(pictures, check);
  return true;
}

// The forward for such a batch, built if it is new. nullptr if its memory exceeds the engine's limit.
const Engine::Impl::Merged* Engine::Impl::merged_for(std::span<Job::Impl* const> jobs, const Batch& batch) {
  const std::shared_ptr<const Prepared>& like = jobs.front()->prepared_pointer();
  auto known = std::ranges::find_if(
      merged_, [&](const Merged& merged) { return merged.batch == batch && alike(*merged.like, *like); });
  if (known == merged_.end()) {
    ProgramOptions options = like->fitted.options;
    options.images_per_forward = batch.images;
    const ForwardShape forward{batch.images,           batch.guided,       batch.slots,
                               batch.guidance_rescale, batch.thresholding, batch.blend};
    merged_.push_front(
        {like, batch, build_denoise_program(facts_.config, like->shape, backend_->target(), options, forward)});
    if (merged_.size() > kMostMerged) {
      deactivate();  // the oldest may be in use
      merged_.pop_back();
    }
  } else {
    merged_.splice(merged_.begin(), merged_, known);
  }
  known = merged_.begin();
  const MemoryReport& memory = known->program.memory;
  const MemoryPlan& alone = like->fitted.plan.memory;
  const std::array programs{&std::as_const(known->program)};
  const size_t scratch = alone.activations + alone.stream + alone.kept;
  size_t peak = executables_->bytes_of_others() + alone.peak_bytes - scratch +
                std::max(scratch, memory.scratch() + memory.kept) + memory.io +
                overhead_of(programs, backend_->target());
  // The others' states, inputs and outputs.
  for (const Job::Impl* job : jobs.subspan(1)) peak += job->prepared().fitted.plan.memory.io;
  const size_t limit = limits_.budget.given() ? limits_.budget.of(free_memory_) : free_memory_;
  return peak <= limit ? &*known : nullptr;
}

}  // namespace tempera
