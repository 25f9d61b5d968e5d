// The shot script that a user writes: TOML, read into one struct. An invalid script gets one line with file and line
// number.
//
//   title = "Mara by the lake"
//   size = [224, 128]          # width, height in pixels
//   fps = 16
//   seed = 7
//   negative_prompt = ""       # or: negative = "wan", Wan's own
//   noise_from = "moga"        # optional; "diffusers": the noise that its pipelines draw from the same seed
//   global_caption = "…"       # optional, prepended to every shot's caption
//   set = ["sampler.steps=20"] # optional, overrides the model's configs; the command line overrides it
//   [[shot]]
//   caption = "…"
//   duration = 2.0             # seconds, or: frames = 32
//   image = "lake.png"         # optional, the shot's first frame, for image-to-video models
//   last_image = "hill.jpg"    # optional, its last frame, for models of first and last frames
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "moga/core/choice.h"
#include "moga/data/limits.h"

namespace moga {

// Negative prompts that have a name.
enum class Negative { kNone, kWan };
template <>
inline constexpr auto kChoices<Negative> = std::array{
    Choice{Negative::kNone, "none", "negative_prompt as it is"},
    Choice{Negative::kWan, "wan", "the prompt that Wan2.1's and Wan2.2's own programs use (Chinese)"},
};

// Who draws the noise of a seed.
enum class NoiseSource { kMoga, kDiffusers };
template <>
inline constexpr auto kChoices<NoiseSource> = std::array{
    Choice{NoiseSource::kMoga, "moga", "a stream of the seed, independent of this program's other streams"},
    Choice{NoiseSource::kDiffusers, "diffusers",
           "as diffusers' pipelines with torch.Generator('cpu').manual_seed(seed)"},
};

struct Shot {
  std::string caption;
  std::optional<double> duration;                          // seconds
  std::optional<int64_t> frames;                           // pixel frames
  std::optional<std::string> image = {}, last_image = {};  // files, relative to the script's folder

  template <class Fields>
  void fields(Fields& field) {
    field("caption", caption, "what the shot shows");
    field("duration", duration, "seconds");
    field("frames", frames, "pixel frames, instead of duration");
    field("image", image, "picture of the shot's first frame (PNG, JPEG), relative to the script");
    field("last_image", last_image, "picture of its last frame");
  }
};

struct Script {
  std::string title;
  std::vector<int64_t> size = {832, 480};  // width, height
  bool names_size = true;                  // false: the file has no size, and the model's own may take its place
  std::filesystem::path folder;            // of the file; empty: the current one
  int64_t fps = 16;
  int64_t seed = 0;
  std::string negative_prompt;
  Negative negative = Negative::kNone;  // instead of negative_prompt
  NoiseSource noise_from = NoiseSource::kMoga;
  std::optional<std::string> global_caption;
  std::vector<std::string> set;  // KEY=VALUE; the pipeline defines the keys
  std::vector<Shot> shot;

  // `pixels_per_token`: of the model that is to generate it.
  void validate(const Strides& pixels_per_token = kWanPixelsPerToken) const;
  std::vector<std::string> captions() const;  // with the global caption prepended
  std::string negative_text() const;          // negative_prompt, or the one that `negative` names
  // Latent frames of each shot, at least 1. Cuts are between latent frames, as near as possible to the script's: i
  // latent frames are 1 + s (i - 1) pixel frames with s = strides.frames, so a cut after p pixel frames is after 1 +
  // round((p - 1) / s) latent frames. With s = 4, four shots of 32 frames give 9, 8, 8, 8: 129 pixel frames.
  std::vector<int64_t> latent_shot_frames(const Strides& strides) const;
  // "the script asks for 6 frames, the video has 5: …" where the two differ, else empty.
  std::string frame_note(const Strides& strides) const;
  template <class Fields>
  void fields(Fields& field) {
    field("title", title, "name of the video");
    field("size", size, "width and height in pixels");
    field("fps", fps, "frames per second");
    field("seed", seed, "seed of the noise");
    field("negative_prompt", negative_prompt, "what guidance steers away from");
    field("negative", negative, "a known negative prompt, instead of negative_prompt");
    field("noise_from", noise_from, "who draws the noise of the seed");
    field("global_caption", global_caption, "prepended to the caption of every shot");
    field("set", set, "KEY=VALUE overrides of the model's configs, as --set");
    field("shot", shot, "the shots, in order");
  }
};

// Throws one line with the file's line number when a value is wrong.
Script load_script(const std::filesystem::path& path, const Strides& pixels_per_token = kWanPixelsPerToken);

}  // namespace moga
