// See script_request.h.
#include "moga/pipeline/script_request.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "moga/core/check.h"
#include "moga/core/log.h"
#include "moga/data/video/read_image.h"
#include "moga/pipeline/images.h"
#include "moga/pipeline/shot_captions.h"

namespace moga {
namespace {

at::Tensor read_shot_image(const Script& script, const std::string& name, const Strides& pixels_per_token) {
  const std::filesystem::path path = script.folder / name;
  const at::Tensor image = read_image(path);
  const std::string note =
      size_note({image.size(2), image.size(1)}, {script.size[0], script.size[1]}, pixels_per_token);
  if (!note.empty()) log_info(path.string(), ": ", note);
  return image;
}

std::vector<ShotImages> read_images(const Script& script, const Strides& pixels_per_token) {
  std::vector<ShotImages> images;
  for (const Shot& shot : script.shot) {
    ShotImages own;
    if (shot.image) own.first = read_shot_image(script, *shot.image, pixels_per_token);
    if (shot.last_image) own.last = read_shot_image(script, *shot.last_image, pixels_per_token);
    images.push_back(own);
  }
  return images;
}

int64_t nearest_multiple(double side, int64_t stride) {
  return std::max<int64_t>(1, std::llround(side) / stride) * stride;
}

std::vector<ShotHas> shots_of(const Script& script) {
  std::vector<ShotHas> shots;
  for (const Shot& shot : script.shot) shots.push_back({shot.image.has_value(), shot.last_image.has_value()});
  return shots;
}

}  // namespace

std::string size_note(PixelSize image, PixelSize video, const Strides& pixels_per_token) {
  constexpr double kTolerance = 0.05;
  const double own = static_cast<double>(image.height) / static_cast<double>(image.width);
  const double asked = static_cast<double>(video.height) / static_cast<double>(video.width);
  if (std::abs(own / asked - 1) <= kTolerance) return "";
  const auto area = static_cast<double>(video.width * video.height);
  const int64_t width = nearest_multiple(std::sqrt(area / own), pixels_per_token.columns);
  const int64_t height = nearest_multiple(std::sqrt(area * own), pixels_per_token.rows);
  std::ostringstream text;
  text << "is " << image.width << "x" << image.height << ", and is stretched to the video's " << video.width << "x"
       << video.height << "; --size " << width << "x" << height << " keeps its proportions";
  return text.str();
}

void check_script_images(const Script& script, const ModelConfigs& configs) {
  check_images(*configs.transformer, shots_of(script), script.latent_shot_frames(configs.pixels_per_token()),
               configs.expand_timesteps);
}

void check_image_files(const Script& script) {
  for (const Shot& shot : script.shot)
    for (const auto& image : {shot.image, shot.last_image})
      if (image) read_image(script.folder / *image);
}

VideoRequest script_request(const Script& script, const Models& models) {
  const Strides pixels_per_token = models.pixels_per_token();
  const VideoModelConfig& model = models.transformer->config();
  const std::vector<ShotHas> shots = shots_of(script);
  check_images(model, shots, script.latent_shot_frames(pixels_per_token), models.expand_timesteps);
  VideoRequest request;
  request.shape =
      video_shape({script.size[0], script.size[1]}, script.latent_shot_frames(pixels_per_token), pixels_per_token);
  request.captions = shot_captions(script, models);
  request.negative_prompt = script.negative_text();
  request.seed = script.seed;
  request.noise_from = script.noise_from;
  const bool any = std::ranges::any_of(shots, [](const ShotHas& shot) { return shot.first; });
  if (model.conditioning().channels > 0 || any) request.images = read_images(script, pixels_per_token);
  return request;
}

}  // namespace moga
