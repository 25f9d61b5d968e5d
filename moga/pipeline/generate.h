// From a shot script to a video: the whole way, as one function.
#pragma once

#include "moga/data/script.h"
#include "moga/data/video/tags.h"
#include "moga/pipeline/frames_to_host.h"
#include "moga/pipeline/resume.h"

namespace moga {

struct GenerateOptions {
  SamplerConfig sampler = {};
  at::Tensor noise = {};                    // [z, F, Y/8, X/8] to start from; undefined: drawn from the script's seed
  std::filesystem::path save_latents = {};  // a safetensors file for the normalised latents (latents.h); empty: none
  KeepConfig keep = {};                     // the state of denoising, for a run that is killed
  MediaTags tags = {};                      // written into video and contact sheet
};

// Captions → text embeddings → latents → frames. The video has 1 + 4 (F - 1) frames, F latent frames in all shots
// (Script::latent_shot_frames). Memory does not grow with duration after denoising.
void generate(const Script& script, Models& models, const GenerateOptions& options, const FrameSink& sink);

// A normalised latent [z, F, Y', X'] → frames, latent frame by latent frame. Throws FramesNotFinite on NaN or infinity.
void decode_frames(Vae& vae, const at::Tensor& latent, const FrameSink& sink);

// Where the contact sheet of a video is written: "film.png".
std::filesystem::path sheet_path(const std::filesystem::path& video);

struct GeneratedFiles {
  std::filesystem::path video;
  std::filesystem::path sheet;  // contact sheet, a row a shot
  int64_t frames = 0;
};

// generate() into `path` (.mp4 or .y4m) with a contact sheet beside it (.png). Both are whole or absent. Afterwards
// nothing is kept of the denoising any more.
GeneratedFiles generate_files(const Script& script, Models& models, const GenerateOptions& options,
                              const std::filesystem::path& path);

}  // namespace moga
