// See film_models.h.
#include "moga/evaluate/film_models.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "moga/core/check.h"
#include "moga/core/interrupt.h"
#include "moga/core/safetensors.h"
#include "moga/evaluate/frame_pixels.h"

namespace fs = std::filesystem;

namespace moga {
namespace {

struct ModelPlace {
  const char *name, *measures, *origin;
};
constexpr ModelPlace kDinoPlace = {"dino-vitb16", "subject consistency", "https://huggingface.co/facebook/dino-vitb16"};
constexpr ModelPlace kClipPlace = {"clip-vit-base-patch32", "background consistency, cross-shot CLIP, text alignment",
                                   "https://huggingface.co/openai/clip-vit-base-patch32"};
constexpr ModelPlace kClipLargePlace = {"clip-vit-large-patch14", "aesthetic quality",
                                        "https://huggingface.co/openai/clip-vit-large-patch14"};
constexpr ModelPlace kHeadPlace = {
    "sa_0_4_vit_l_14_linear.safetensors", "aesthetic quality",
    "https://github.com/LAION-AI/aesthetic-predictor (sa_0_4_vit_l_14_linear.pth, converted)"};
constexpr ModelPlace kDinov2Place = {"dinov2-base", "cross-shot DINO", "https://huggingface.co/facebook/dinov2-base"};

bool has_safetensors(const fs::path& folder) {
  if (!fs::is_directory(folder)) return fs::exists(folder);
  return std::any_of(fs::directory_iterator(folder), {}, [](const fs::directory_entry& entry) {
    return entry.path().extension() == ".safetensors" || entry.path().string().ends_with(".safetensors.index.json");
  });
}

// Whether the model is there; otherwise the line that names it.
bool is_there(const fs::path& folder, const ModelPlace& place, std::vector<std::string>& missing) {
  const fs::path path = folder / place.name;
  if (has_safetensors(path)) return true;
  const bool other_weights = fs::is_directory(path);
  missing.push_back(std::string(place.measures) + " not computed: " + path.string() +
                    (other_weights ? " holds no safetensors; tools/convert_film_models.py converts other weights"
                                   : " is missing; get it from " + std::string(place.origin)));
  return false;
}

at::Tensor unit(const at::Tensor& features) {
  return (features / features.norm(2, {-1}, true).clamp_min(1e-12)).to(at::kCPU);
}

at::Tensor features_of(VisionModel& model, const at::Tensor& pixels) {
  const at::NoGradGuard no_grad;
  const StopInside stop_inside;
  return unit(model->forward(pixels));
}

}  // namespace

at::Tensor FilmModels::dino_features(const at::Tensor& frames) {
  return features_of(dino, vbench_dino_pixels(frames.to(device), dino->config().transformer.image_size));
}

at::Tensor FilmModels::clip_features(const at::Tensor& frames) {
  return features_of(clip, vbench_clip_pixels(frames.to(device), clip->config().transformer.image_size));
}

at::Tensor FilmModels::clip_large_features(const at::Tensor& frames) {
  return features_of(clip_large, vbench_clip_pixels(frames.to(device), clip_large->config().transformer.image_size));
}

at::Tensor FilmModels::dinov2_features(const at::Tensor& frames) {
  std::vector<at::Tensor> pixels;
  for (const at::Tensor& frame : frames.unbind()) pixels.push_back(processed(frame.cpu().contiguous(), dinov2_images));
  return features_of(dinov2, at::stack(pixels).to(device));
}

at::Tensor FilmModels::aesthetic_scores(const at::Tensor& features) const {
  return at::linear(features, aesthetic_weight, aesthetic_bias).squeeze(1) / 10;
}

at::Tensor FilmModels::text_features(const std::vector<std::string>& texts, std::vector<int64_t>* cut) {
  const at::NoGradGuard no_grad;
  const auto length = static_cast<size_t>(text->config().max_position_embeddings);
  std::vector<at::Tensor> features;
  for (size_t i = 0; i < texts.size(); ++i) {
    std::vector<int64_t> ids = tokenizer->encode(texts[i]);
    if (ids.size() > length) {
      ids.resize(length);
      ids.back() = tokenizer->end();
      if (cut) cut->push_back(static_cast<int64_t>(i));
    }
    const auto end = std::ranges::find(ids, tokenizer->end()) - ids.begin();  // the first, where CLIP reads the feature
    features.push_back(text->forward(at::tensor(ids, at::kLong).unsqueeze(0).to(device),
                                     at::tensor(std::vector<int64_t>{end}, at::kLong).to(device))[0]);
  }
  return unit(at::stack(features));
}

FilmModels load_film_models(const fs::path& folder, at::Device device) {
  FilmModels models;
  models.device = device;
  if (is_there(folder, kDinoPlace, models.missing)) models.dino = load_vision_model(folder / kDinoPlace.name, device);
  if (is_there(folder, kClipPlace, models.missing)) {
    const fs::path place = folder / kClipPlace.name;
    models.clip = load_vision_model(place, device);
    models.text = load_clip_text(place, device);
    models.tokenizer.emplace(place);
    const int64_t tokens = models.text->config().vocab_size;
    check(models.tokenizer->largest_id() < tokens, place.string(), ": vocab.json has id ",
          models.tokenizer->largest_id(), ", the model has ", tokens, " tokens");
  }
  const bool large = is_there(folder, kClipLargePlace, models.missing);
  if (is_there(folder, kHeadPlace, models.missing) && large) {
    models.clip_large = load_vision_model(folder / kClipLargePlace.name, device);
    const Safetensors head(folder / kHeadPlace.name);
    const int64_t width = models.clip_large->config().features();
    for (const auto& [name, shape] :
         {std::pair{"weight", std::vector<int64_t>{1, width}}, std::pair{"bias", std::vector<int64_t>{1}}})
      check(head.contains(name) && head.shape(name) == shape, head.source(), ": expected a tensor ", name, " of shape ",
            at::IntArrayRef(shape));
    models.aesthetic_weight = head.load("weight").to(at::kFloat);
    models.aesthetic_bias = head.load("bias").to(at::kFloat);
  }
  if (is_there(folder, kDinov2Place, models.missing)) {
    const fs::path place = folder / kDinov2Place.name, images = place / "preprocessor_config.json";
    models.dinov2 = load_vision_model(place, device);
    models.dinov2_images.image_mean = {0.485, 0.456, 0.406};
    models.dinov2_images.image_std = {0.229, 0.224, 0.225};
    if (fs::exists(images)) models.dinov2_images = load_image_processor_config(images);
  }
  return models;
}

}  // namespace moga
