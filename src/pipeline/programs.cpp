#include "pipeline/programs.h"

#include <algorithm>

#include "base/error.h"
#include "models/clip.h"
#include "models/unet.h"
#include "passes/passes.h"
#include "pipeline/conditioning.h"

namespace tempera {
namespace {

Program build(Graph graph, const Target& target, const ProgramOptions& o, Residency residency, size_t stay = 0) {
  LowerOptions lowering;
  lowering.hoist = !o.eager && !o.placement.tight;
  // Flash, on AMX or not, is preferred wherever it can run; only "naive" is a demand.
  if (o.attention == "naive") lowering.exclude = {"attention/flash", "attention/amx"};
  if (!o.eager) graph = optimize(std::move(graph));
  return place(lower(graph, target, lowering), residency, o.placement, stay, target.alignment);
}

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

// "text encoders in turn, UNet streamed (38 % stay), tiny decoder in turn in 9 tiles"
std::string describe(const Programs& programs, const ProgramOptions& o, size_t pictures) {
  std::string text;
  if (programs.text) text = "text encoders " + describe(o.placement.text, programs.text->second) + ", ";
  text += "UNet " + describe(o.placement.denoise, programs.denoise);
  text += (o.decoder.tiny ? ", tiny decoder " : ", decoder ") +
          describe(o.placement.decoder, programs.decoder.shapes.front());
  if (programs.decoder.tiled()) text += fmt::format(" in {} tiles", programs.decoder.grid.count());
  if (static_cast<size_t>(o.images_per_forward) < pictures) text += ", one picture at a time";
  if (o.two_passes) text += ", guidance in two passes";
  if (o.placement.tight) text += ", parameters where activations leave room";
  return text;
}

// Bytes of the largest parameter that travels: with it come pages of the file and buffers for packing.
size_t largest_streamed(const Programs& programs) {
  size_t largest = 0;
  for (const Program* p : all_programs(programs))
    for (const WeightSlot& w : p->weights)
      if (w.segment != WeightSlot::kResident) largest = std::max(largest, w.bytes);
  return largest;
}

// Of every program once, as each has them packed.
size_t travelling_bytes(const Programs& programs) {
  size_t bytes = 0;
  for (const Program* p : all_programs(programs))
    for (const Segment& segment : p->segments) bytes += segment.bytes;
  return bytes;
}

StagePlan stage(const Program& program, std::string name, size_t runs) {
  StagePlan s;
  s.name = std::move(name);
  s.steps = program.steps.size() - program.prologue;
  s.prologue = program.prologue;
  s.weights = program.memory.weights;
  s.activations = program.memory.arena;
  s.stream = program.memory.stream;
  s.io = program.memory.io;
  s.copied = copied_per_run(program);
  s.flops = program.flops_step;
  s.flops_prologue = program.flops_prologue;
  s.runs = runs;
  return s;
}

// What the host keeps of a request beside the programs' memory: the finished pictures; the prompts' features as the
// text encoders give them (those of one text for each row), as embeddings, and as a forward of the UNet wants them; the
// vocabulary (text/bpe.h: 64 bytes for a token and its merge).
size_t host_bytes(const ModelConfig& model, const RequestShape& r, const ProgramOptions& o) {
  constexpr size_t kToken = 64;
  const auto size = [](int n) { return static_cast<size_t>(n); };
  const size_t row =
      (size(o.tokens) * size(model.unet.cross_attention_dim) + size(model.text_encoder_2.projection_dim)) *
      sizeof(float) * (r.guidance ? 2 : 1);
  const size_t text = o.text ? row + size(model.text_encoder_2.vocab_size) * kToken : 0;
  return size(r.images) * size(r.width) * size(r.height) * 3 + row * (1 + size(o.images_per_forward)) + text;
}

}  // namespace

RequestShape shape_of(const ResolvedRequest& r) {
  return {.width = r.request.width,
          .height = r.request.height,
          .latent_width = r.latent_width,
          .latent_height = r.latent_height,
          .images = r.request.num_images_per_prompt,
          .guidance = r.guidance,
          .guidance_rescale = r.guidance_rescale,
          .slots = r.schedule.slots,
          .evaluations = r.schedule.evaluations.size(),
          .scheduler = r.scheduler,
          .text_skips = text_skips(r.request),
          .texts = {distinct_texts(r, 0), distinct_texts(r, 1)}};
}

TextPrograms build_text_programs(const ModelConfig& model, const std::vector<int>& skips, const Target& target,
                                 const ProgramOptions& o) {
  ClipGraphOptions clip{.batch = 1, .tokens = o.tokens, .skips = skips, .dtype = o.dtype};
  TextPrograms programs;
  if (model.text_encoder)
    programs.first = build(clip_text_graph(*model.text_encoder, clip), target, o, o.placement.text);
  clip.pooled = true;
  programs.second = build(clip_text_graph(model.text_encoder_2, clip), target, o, o.placement.text);
  programs.second.name = "text_encoder_2";
  return programs;
}

Programs build_programs(const ModelConfig& model, const RequestShape& r, const Target& target,
                        const ProgramOptions& o) {
  TileGrid grid = choose_tiles(model.vae, o.decoder, r.latent_height, r.latent_width);
  DenoiseGraphOptions denoise{.images = o.images_per_forward,
                              .guided = r.guidance ? o.images_per_forward : 0,
                              .two_passes = o.two_passes,
                              .guidance_rescale = r.guidance_rescale,
                              .slots = r.slots,
                              .unet = {.height = r.latent_height,
                                       .width = r.latent_width,
                                       .tokens = o.tokens,
                                       .micro_conditions = model.micro_conditioning_count(),
                                       .dtype = o.dtype}};
  Programs programs;
  if (o.text) programs.text = build_text_programs(model, r.text_skips, target, o);
  programs.denoise = build(denoise_graph(model.unet, denoise), target, o, o.placement.denoise, o.placement.stay);
  programs.decoder = build_decoder_programs(model.vae, o.decoder, std::move(grid), o.dtype, [&](Graph graph) {
    return build(std::move(graph), target, o, o.placement.decoder);
  });
  return programs;
}

std::vector<const Program*> all_programs(const TextPrograms& programs) {
  if (!programs.first) return {&programs.second};
  return {&*programs.first, &programs.second};
}

std::vector<const Program*> all_programs(const Programs& programs) {
  std::vector<const Program*> all;
  if (programs.text) all = all_programs(*programs.text);
  all.push_back(&programs.denoise);
  for (const Program& shape : programs.decoder.shapes) all.push_back(&shape);
  return all;
}

size_t scratch_bytes(const std::vector<const Program*>& programs) {
  size_t bytes = 0;
  for (const Program* p : programs) bytes = std::max(bytes, p->memory.scratch());
  return bytes;
}

size_t latent_bytes(const Program& denoise) {
  const TensorDesc& noise = denoise.input("noise").ref.desc;  // of as many pictures, whatever the sampler's slots
  return noise.bytes() / static_cast<size_t>(noise.shape[0]);
}

Plan make_plan(const ModelConfig& model, const Programs& programs, const RequestShape& r, const Target& target,
               const ProgramOptions& o) {
  Plan plan;
  plan.device = target.name;
  plan.dtype = name(o.dtype);
  plan.width = r.width;
  plan.height = r.height;
  plan.scheduler = r.scheduler;

  const auto images = static_cast<size_t>(r.images);
  const auto forwards =
      (images + static_cast<size_t>(o.images_per_forward) - 1) / static_cast<size_t>(o.images_per_forward);
  if (programs.text) {
    const auto& [first, second] = *programs.text;
    if (first) plan.stages.push_back(stage(*first, "text_encoder", r.texts[0]));
    plan.stages.push_back(stage(second, "text_encoder_2", r.texts[1]));
  }
  plan.stages.push_back(stage(programs.denoise, "unet", forwards * r.evaluations));
  plan.stages.back().io += images * latent_bytes(programs.denoise);
  plan.stages.push_back(decoder_stage(programs.decoder, images));
  plan.decoder = describe(programs.decoder, o.decoder);

  // Scratch memory is one region, as large as the stage that wants most.
  MemoryPlan& m = plan.memory;
  m.overhead = target.overhead + std::min(target.stream_overhead, 2 * largest_streamed(programs));
  for (const Program* p : all_programs(programs)) m.overhead += target.overhead_step * p->steps.size();
  const bool on_host = target.name == "cpu";
  if (on_host) m.io += host_bytes(model, r, o);
  if (!on_host) m.pinned_bytes = travelling_bytes(programs);
  const StagePlan* most = nullptr;
  const auto scratch = [](const StagePlan& s) { return s.activations + s.stream; };
  for (const StagePlan& s : plan.stages) {
    plan.flops += s.flops * static_cast<double>(s.runs) + s.flops_prologue * static_cast<double>(forwards);
    m.weights += s.weights;
    m.io += s.io;
    if (most == nullptr || scratch(s) > scratch(*most)) most = &s;
  }
  m.activations = most->activations;
  m.stream = most->stream;
  m.peak_bytes = m.weights + m.io + m.overhead + scratch(*most);
  m.peak_stage = most->name;
  plan.residency = describe(programs, o, on_host ? 1 : images);
  return plan;
}

}  // namespace tempera
