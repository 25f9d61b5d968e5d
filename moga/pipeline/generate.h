// From a shot script to a video: captions and images → embeddings → latents → frames → file.
//
// generate() consumes its models: each is released once its stage is done, so that peak memory is that of the largest
// stage. Memory does not grow with duration after denoising.
#pragma once

#include <functional>

#include "moga/data/script.h"
#include "moga/data/video/tags.h"
#include "moga/parallel/mesh.h"
#include "moga/pipeline/frames_to_host.h"
#include "moga/pipeline/preview.h"
#include "moga/pipeline/resume.h"

namespace moga {

// What an observer of a generation sees, on rank 0.
struct GenerateWatch {
  // After each step: the newest estimate of the final latents [z, F, Y', X'] where the solver has one (UniPC), else the
  // noisy sample, and the codec of the run. Called between two steps, which wait for it.
  std::function<void(const at::Tensor& latents, Codec& codec)> on_step = {};
  FrameSink on_frames = {};  // generate_files: after frames were written
};

struct GenerateOptions {
  SamplerConfig sampler = {};
  at::Tensor noise = {};                    // [z, F, Y', X'] to start from; undefined: drawn from the script's seed
  std::filesystem::path save_latents = {};  // a safetensors file for the normalised latents (latents.h); empty: none
  KeepConfig keep = {};                     // where the state of denoising is kept, for runs that are killed
  PreviewOptions preview = {};              // pictures of the film while it is denoised
  MediaTags tags = {};                      // written into video and contact sheet
  Mesh mesh = {};                           // Mesh::generation, of the ranks that denoise together
  GenerateWatch watch = {};
};

// The video has Strides::pixel_frames(F) frames, F latent frames in all shots (Script::latent_shot_frames).
//
// On several ranks all of them call it with the same script, models and sampler; a difference is one line that names
// the rank. Rank 0 alone needs the text encoder, keeps the state and decodes: the others return after denoising, and
// their sink, latents and state stay unused.
void generate(const Script& script, Models&& models, const GenerateOptions& options, const FrameSink& sink);

// A normalised latent [z, F, Y', X'] → frames, latent frame by latent frame. Throws FramesNotFinite on NaN or infinity.
void decode_frames(Codec& codec, const at::Tensor& latent, const FrameSink& sink);

// Where the contact sheet of a video is written: "film.png".
std::filesystem::path sheet_path(const std::filesystem::path& video);

struct GeneratedFiles {
  std::filesystem::path video;
  std::filesystem::path sheet;  // contact sheet, one row per shot
  int64_t frames = 0;
};

// generate() on rank 0 into `path` (.mp4 or .y4m) with a contact sheet next to it (.png). Both are whole or absent. The
// kept state of the denoising is removed at the end.
GeneratedFiles generate_files(const Script& script, Models&& models, const GenerateOptions& options,
                              const std::filesystem::path& path);

}  // namespace moga
