// See image_needs.h.
#include "moga/train/video/image_needs.h"

#include "moga/core/check.h"
#include "moga/core/log_line.h"
#include "moga/model/model_index.h"

namespace moga {
namespace {

// "an image-to-video model": what is trained.
std::string kind_of(const ImageNeeds& needs) {
  return needs.optional ? "a model that is given frames" : "an image-to-video model";
}

void check_embeddings(const StoredImages& stored, const ImageNeeds& needs, const std::string& folder) {
  if (needs.embedding == 0) {
    if (stored.embedding > 0)
      log_once(folder, folder + ": its embeddings of images are not used, the model has no image encoder");
    return;
  }
  check(stored.embedding > 0, folder, ": holds no embeddings of images, and the model sees those of an image encoder; ",
        "prepare it with images.image_encoder = the model's folder image_encoder");
  check(stored.embedding == needs.embedding, folder, ": its embeddings of images have a width of ", stored.embedding,
        ", the model's image_dim is ", needs.embedding);
  check(needs.pair_tokens == 0 || !stored.some_single, folder,
        ": has shots with a first image alone, and the model takes first and last frames (FLF2V); prepare it with "
        "images.last = 1 and shots of two latent frames or more");
  check(needs.pair_tokens > 0 || !stored.some_last, folder,
        ": has shots with a last image, and the model takes first frames alone; prepare it with images.last = 0");
}

}  // namespace

bool expands_timesteps(const TrainConfig& config) {
  return !config.init.empty() && load_model_index(config.init).expand_timesteps;
}

ImageNeeds image_needs(const TrainConfig& config) {
  const Conditioning wanted = config.transformer->conditioning();
  ImageNeeds needs{.channels = wanted.channels, .embedding = wanted.image_dim, .pair_tokens = wanted.image_tokens};
  if (wanted.channels > 0) {
    needs.form = ImageForm::kCondition;
  } else if (expands_timesteps(config)) {
    needs.form = ImageForm::kLatents;
    needs.optional = true;
  }
  return needs;
}

void check_images(const StoredImages& stored, const ImageNeeds& needs, const std::string& folder) {
  if (stored.form == ImageForm::kNone && needs.optional) return;
  if (needs.form == ImageForm::kNone) {
    if (stored.form != ImageForm::kNone) log_once(folder, folder + ": its images are not used, the model takes none");
    return;
  }
  check(stored.form == needs.form, folder, ": stores ",
        stored.form == ImageForm::kNone ? std::string("no images")
                                        : std::string("images in form ") + name_of(stored.form),
        ", and ", kind_of(needs), " is trained; prepare it with images.form = \"", name_of(needs.form), "\"",
        needs.optional ? " or \"none\"" : "");
  if (stored.form == ImageForm::kCondition) check_embeddings(stored, needs, folder);
}

}  // namespace moga
