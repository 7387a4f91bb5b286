// The plan of a list of stages: memory at the peak, arithmetic, and the texts for people.
#include <algorithm>
#include <map>

#include "base/error.h"
#include "pipeline/stages.h"
#include "program/overhead.h"

namespace tempera {
namespace {

// Segments of the body that come anew in every run.
size_t copied_per_run(const Program& program) {
  size_t bytes = 0;
  for (const Segment& g : program.segments)
    if (g.first >= program.prologue && g.after != Segment::kOnEntry) bytes += g.bytes;
  return bytes;
}

std::string describe(Residency residency, const Program& program) {
  if (residency == Residency::resident) return "resident";
  if (residency == Residency::in_turn) return "in turn";
  size_t travels = 0;
  for (const WeightSlot& w : program.weights)
    if (w.segment != WeightSlot::kResident && w.step >= program.prologue) travels += w.bytes;
  const size_t stays = program.memory.weights;
  return fmt::format("streamed ({:.0f} % stay)",
                     100 * static_cast<double>(stays) / static_cast<double>(std::max<size_t>(1, stays + travels)));
}

std::string_view name_of(Role role, const ProgramOptions& o) {
  switch (role) {
    case Role::text:
      return "text encoders";
    case Role::encode:
      return o.decoder.tiny ? "tiny encoder" : "encoder";
    case Role::denoise:
      return "UNet";
    case Role::refine:
      return "refiner";
    case Role::decode:
      return o.decoder.tiny ? "tiny decoder" : "decoder";
  }
  return "";
}

// "text encoders in turn, UNet streamed (38 % stay), tiny decoder in turn in 9 tiles"
std::string describe(const Stages& stages, const ProgramOptions& o, size_t pictures) {
  std::string text;
  for (size_t i = 0; i < stages.list.size(); ++i) {
    const StageSpec& stage = stages.list[i];
    // The last stage of a role stands for all of them.
    const auto later = stages.list.begin() + static_cast<std::ptrdiff_t>(i) + 1;
    if (std::ranges::find(later, stages.list.end(), stage.role, &StageSpec::role) != stages.list.end()) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name_of(stage.role, o),
                        describe(o.placement.of(stage.role), stage.programs.front()));
    if (stage.tiles.several()) text += fmt::format(" in {} tiles", stage.tiles.grid.count());
  }
  if (static_cast<size_t>(o.images_per_forward) < pictures) text += ", one picture at a time";
  if (o.two_passes) text += ", guidance in two passes";
  if (o.placement.tight) text += ", parameters placed in the arena";
  return text;
}

// The additional memory of copies of parameters, see Target.
size_t stream_overhead(const Stages& stages, const Target& target) {
  size_t largest = 0;
  for (const StageSpec& stage : stages.list)
    for (const Program& program : stage.programs)
      for (const WeightSlot& w : program.weights)
        if (w.segment != WeightSlot::kResident) largest = std::max(largest, w.bytes);
  return std::min(target.stream_overhead, static_cast<size_t>(target.stream_share * static_cast<double>(largest)));
}

size_t scratch(const Program& program) {
  return program.memory.scratch() + program.memory.kept;
}

// `before`: programs of the same component in earlier stages, whose parameters are there already; those of the stage
// are added.
StagePlan plan_of(const StageSpec& stage, std::vector<const Program*>& before, size_t alignment) {
  StagePlan s;
  s.name = stage.name;
  s.runs = stage.runs;
  const Program* largest = &stage.programs.front();
  const size_t resident_before = resident_bytes(before, alignment);
  for (size_t i = 0; i < stage.programs.size(); ++i) {
    const Program& program = stage.programs[i];
    before.push_back(&program);
    if (scratch(program) > scratch(*largest)) largest = &program;
    s.steps += stage.calls[i] * (program.steps.size() - program.prologue);
    s.prologue += program.prologue;
    s.io += program.memory.io;
    s.copied += stage.calls[i] * copied_per_run(program);
    s.flops += static_cast<double>(stage.calls[i]) * program.flops_step;
    s.flops_prologue += program.flops_prologue;
  }
  s.weights = resident_bytes(before, alignment) - resident_before;
  s.activations = largest->memory.arena;
  s.stream = largest->memory.stream;
  s.kept = largest->memory.kept;
  return s;
}

// The host's own data of a request, in addition to the programs' memory:
// * the finished pictures;
// * a picture that is encoded, and the moments of its latents (mean and logarithm of the variance);
// * the prompts' features as results of the text encoders (those of one text for each row), as embeddings, and as
//   inputs of a forward of the UNet;
// * embeddings of words, as data of the request, and as inputs of one text encoder after the other;
// * the vocabulary (text/bpe.h: 64 bytes for a token and its merge).
size_t host_bytes(const ModelConfig& model, const RequestShape& r, const ProgramOptions& o) {
  constexpr size_t kToken = 64;
  const auto size = [](int n) { return static_cast<size_t>(n); };
  const size_t row =
      (size(o.tokens) * size(model.unet.cross_attention_dim) + size(model.text_encoder_2.projection_dim)) *
      sizeof(float) * (std::ranges::any_of(r.loops, &LoopShape::guidance) ? 2 : 1);
  const size_t words = r.words ? 2 * size(o.tokens) * size(model.unet.cross_attention_dim) * sizeof(float) : 0;
  const size_t text = o.text ? row + words + size(model.text_encoder_2.vocab_size) * kToken : 0;
  size_t encoded = 0;
  const auto add_encoded = [&](const LoopShape& loop) {
    const size_t latent = size(loop.latent_width) * size(loop.latent_height) * size(model.vae.latent_channels);
    encoded = std::max(
        encoded, (size(loop.width) * size(loop.height) * size(model.vae.in_channels) + 2 * latent) * sizeof(float));
  };
  if (r.encodings > 0) add_encoded(r.loops.front());
  if (r.redraws) add_encoded(r.last());
  return encoded + size(r.images) * size(r.last().width) * size(r.last().height) * 3 +
         row * (1 + size(o.images_per_forward)) + text;
}

}  // namespace

Plan make_plan(const ModelConfig& model, const Stages& stages, const RequestShape& r, const Target& target,
               const ProgramOptions& o) {
  Plan plan;
  plan.device = target.name;
  plan.dtype = name(o.dtype);
  plan.width = r.last().width;
  plan.height = r.last().height;
  plan.scheduler = r.scheduler;
  if (const StageSpec* decoder = stages.decoder(r.loops.size() - 1, r))
    plan.decoder = describe(decoder->tiles.grid, o.decoder);
  plan.residency = describe(stages, o, target.batches_pictures ? static_cast<size_t>(r.images) : 1);

  MemoryPlan& m = plan.memory;
  m.overhead = target.overhead + stream_overhead(stages, target);
  std::map<ComponentRef, std::vector<const Program*>> by_component;
  std::vector<const Program*> programs;
  const StagePlan* most = nullptr;
  const auto scratch_of = [](const StagePlan& s) { return s.activations + s.stream + s.kept; };
  plan.stages.reserve(stages.list.size());  // `most` points into it
  for (const StageSpec& stage : stages.list) {
    const StagePlan& s = plan.stages.emplace_back(plan_of(stage, by_component[stage.component], target.alignment));
    for (const Program& program : stage.programs) {
      programs.push_back(&program);
      // Of every program once, as each has them packed.
      if (!target.host_memory)
        for (const Segment& segment : program.segments) m.pinned_bytes += segment.bytes;
    }
    plan.flops += s.flops * static_cast<double>(s.runs) + s.flops_prologue * static_cast<double>(stage.prologue_runs);
    m.weights += s.weights;
    m.io += s.io;
    if (most == nullptr || scratch_of(s) > scratch_of(*most)) most = &s;
  }
  m.overhead += overhead_of(programs, target);
  // The sampler's state of every picture, from its first step until it is decoded. That of the next loop is made before
  // that of the loop before it is freed.
  for (size_t i = 0; i < r.loops.size(); ++i)
    m.io += static_cast<size_t>(r.images) * static_cast<size_t>(r.loops[i].slots) *
            latent_bytes(stages.denoise(i).programs.front());
  // The masks and original latents of every picture; the inputs of a forward have those of its pictures only.
  const Program& denoise = stages.denoise(0).programs.front();
  const auto forward = static_cast<size_t>(denoise.input("noise").ref.desc.shape[0]);
  for (const IoSlot& input : mask_inputs(denoise))
    m.io += static_cast<size_t>(r.images) * (input.ref.desc.bytes() / forward);
  if (target.host_memory) m.io += host_bytes(model, r, o);
  // Scratch memory is one region of the largest stage's size. Kept results are at its end.
  m.activations = most->activations;
  m.stream = most->stream;
  m.kept = most->kept;
  m.peak_bytes = m.weights + m.io + m.overhead + scratch_of(*most);
  m.peak_stage = most->name;
  return plan;
}

}  // namespace tempera
