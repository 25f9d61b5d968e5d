// `moga plan`: peak memory and time of a run before it starts, and changes that would make it fit when it does not.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "moga/bench/rehearsal.h"
#include "moga/model/image/image_encoder.h"
#include "moga/model/layers/recompute.h"
#include "moga/parallel/mesh.h"
#include "moga/sampler/solver.h"

namespace moga {

struct PlanPhase {
  std::string name;
  int64_t peak_bytes = 0;  // of all tensors on the device, weights included
  double seconds = 0;
};

struct Plan {
  std::vector<PlanPhase> phases;
  std::string attention;     // of the denoising that was planned: "moga, 5 groups, combined by mean"; empty: unsaid
  int64_t weight_bytes = 0;  // on the device
  std::optional<RecomputeConfig> recompute;  // of a training run: as its config says, or what auto chose
  std::optional<Shard> shard;                // of a training run on several ranks, likewise
  bool stream_weights = false;               // the transformer's blocks come from host memory
  bool rest_experts = false;                 // of two experts, one is in host memory while the other computes
  DeviceMemory memory;
  std::vector<std::string> advice;  // changes that would make it fit; empty when it fits

  int64_t peak_bytes() const;
  double seconds() const;
  // The allocator cannot use all free memory, because blocks do not fill it exactly.
  int64_t usable_bytes() const { return memory.free - memory.free / 32; }
  bool fits() const { return peak_bytes() <= usable_bytes(); }
};

// Whether the transformer's blocks are streamed from host memory: where they do not fit otherwise, or always or never.
enum class StreamWeights { automatic, always, never };

struct GenerationPlanRequest {
  Cloned<VideoModelConfig> transformer;
  TextEncoderConfig text_encoder;
  Cloned<CodecConfig> vae;
  c10::ScalarType vae_dtype = c10::kFloat;
  SamplerConfig sampler;
  VideoShape video;
  int64_t captions = 1;  // number of distinct captions, including the negative prompt
  int64_t fps = 16;
  StreamWeights stream_weights = StreamWeights::automatic;  // on a GPU
  // The second of two experts, which computes the steps below boundary_ratio · 1000; empty: one expert.
  Cloned<VideoModelConfig> transformer_2 = {};
  double boundary_ratio = 0;
  std::optional<ImageEncoderConfig> image_encoder = {};
  // Latent frames that are encoded to show images to a model without channels for them (Wan2.2-TI2V-5B); with such
  // channels it is the whole video.
  int64_t image_frames = 0;
  // Ranks that denoise together; the plan is that of the first, which encodes and decodes as well.
  int64_t guidance_ranks = 1, sequence_ranks = 1;

  Strides pixels_per_token() const { return vae->strides() * transformer->patch(); }
};

// Without the time to read weights from disk. Assumes that each model is released after its stage, as generate does.
Plan plan_generation(const GenerationPlanRequest& request, c10::Device device, c10::ScalarType dtype);

std::string to_table(const Plan& plan);
std::string to_json_text(const Plan& plan);
// Throws one line with the numbers and the advice if the plan does not fit.
void check_fits(const Plan& plan);

}  // namespace moga
