#include "pipeline/programs.h"

#include <algorithm>
#include <set>

#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"
#include "passes/passes.h"
#include "pipeline/conditioning.h"

namespace tempera {
namespace {

Program build(Graph graph, const Target& target, const ProgramOptions& o) {
  LowerOptions lowering;
  lowering.hoist = !o.eager;
  // Flash is preferred wherever it can run; only "naive" is a demand.
  if (o.attention == "naive") lowering.exclude = {"attention/flash"};
  if (!o.eager) graph = optimize(std::move(graph));
  return lower(graph, target, lowering);
}

StagePlan stage(const Program& program, std::string name, size_t runs) {
  StagePlan s;
  s.name = std::move(name);
  s.steps = program.steps.size() - program.prologue;
  s.prologue = program.prologue;
  s.weights = program.memory.weights;
  s.activations = program.memory.arena;
  s.workspace = program.memory.workspace;
  s.io = program.memory.io;
  s.flops = program.flops_step;
  s.flops_prologue = program.flops_prologue;
  s.runs = runs;
  return s;
}

}  // namespace

Programs build_programs(const ModelConfig& model, const ResolvedRequest& r, const Target& target,
                        const ProgramOptions& o) {
  ClipGraphOptions clip{.batch = 1, .tokens = o.tokens, .skips = text_skips(r.request), .dtype = o.dtype};
  DenoiseGraphOptions denoise{.images = o.images_per_forward,
                              .guidance = r.guidance,
                              .guidance_rescale = r.guidance_rescale,
                              .slots = r.schedule.slots,
                              .unet = {.height = r.latent_height,
                                       .width = r.latent_width,
                                       .tokens = o.tokens,
                                       .micro_conditions = model.micro_conditioning_count(),
                                       .dtype = o.dtype}};
  // The published autoencoder's activations pass what f16 can hold and come out black; bf16 has the range of f32.
  const DType vae_dtype = o.dtype == DType::f16 ? DType::bf16 : o.dtype;
  const VaeGraphOptions vae{.height = r.latent_height, .width = r.latent_width, .dtype = vae_dtype};

  Programs programs;
  if (model.text_encoder) programs.text_encoder = build(clip_text_graph(*model.text_encoder, clip), target, o);
  clip.pooled = true;
  programs.text_encoder_2 = build(clip_text_graph(model.text_encoder_2, clip), target, o);
  programs.text_encoder_2.name = "text_encoder_2";
  programs.denoise = build(denoise_graph(model.unet, denoise), target, o);
  programs.decoder = build(vae_decoder_graph(model.vae, vae), target, o);
  return programs;
}

size_t scratch_bytes(const Programs& programs) {
  size_t bytes = 0;
  for (const Program* p : {programs.text_encoder ? &*programs.text_encoder : nullptr, &programs.text_encoder_2,
                           &programs.denoise, &programs.decoder})
    if (p != nullptr) bytes = std::max(bytes, p->memory.arena + p->memory.workspace);
  return bytes;
}

Plan make_plan(const Programs& programs, const ResolvedRequest& r, const Target& target, const ProgramOptions& o) {
  Plan plan;
  plan.device = target.name;
  plan.dtype = name(o.dtype);
  plan.width = r.request.width;
  plan.height = r.request.height;
  plan.scheduler = r.scheduler;

  const auto images = static_cast<size_t>(r.request.num_images_per_prompt);
  const auto forwards =
      (images + static_cast<size_t>(o.images_per_forward) - 1) / static_cast<size_t>(o.images_per_forward);
  if (programs.text_encoder) plan.stages.push_back(stage(*programs.text_encoder, "text_encoder", distinct_texts(r, 0)));
  plan.stages.push_back(stage(programs.text_encoder_2, "text_encoder_2", distinct_texts(r, 1)));
  plan.stages.push_back(stage(programs.denoise, "unet", forwards * r.schedule.evaluations.size()));
  plan.stages.push_back(stage(programs.decoder, "vae_decoder", images));

  // Scratch memory is one region; what an earlier stage touched of it stays. The text encoders go, the rest stays.
  size_t kept = 0, scratch = 0;
  MemoryPlan& m = plan.memory;
  for (const StagePlan& s : plan.stages) {
    plan.flops += s.flops * static_cast<double>(s.runs) + s.flops_prologue * static_cast<double>(forwards);
    scratch = std::max(scratch, s.activations + s.workspace);
    const size_t peak = kept + s.weights + s.io + scratch + target.overhead;
    if (peak > m.peak_bytes)
      m = {kept + s.weights, scratch - s.workspace, s.workspace, s.io, target.overhead, peak, s.name};
    if (s.name == "unet") kept += s.weights + s.io;
  }
  return plan;
}

}  // namespace tempera
