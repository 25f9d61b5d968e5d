// Image-to-video runs small enough for a test. See tiny_images.h.
#include "tests/train/tiny_images.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <map>

#include "moga/core/files.h"
#include "moga/core/random.h"
#include "moga/data/dataset/shards.h"

namespace moga::test {
namespace {

at::Tensor random(const std::vector<int64_t>& shape, const char* name, int64_t number) {
  return at::randn(shape, random_stream(8, name, number), at::kFloat);
}

SampleImages images_of(ImageStyle style, int64_t video, int64_t columns) {
  SampleImages images{.form = ImageForm::kCondition, .shown = {{true, true}, {false, video % 3 == 0}}};
  switch (style) {
    case ImageStyle::kCondition:
      images.condition = random({4, 3, 4, columns}, "tiny condition", video);
      break;
    case ImageStyle::kEmbedded:
      images.shown = {{true, false}, {false, false}};
      images.condition = random({4, 3, 4, columns}, "tiny condition", video);
      images.embeddings = {random({3, kImageWidth}, "tiny embedding", video).to(at::kBFloat16), at::Tensor()};
      break;
    case ImageStyle::kGiven:
      images.form = ImageForm::kLatents;
      images.shown = {{video != 4, video != 4}, {false, false}};
      if (video != 4) images.latents = random({4, 2, 4, columns}, "tiny given", video);
      break;
  }
  return images;
}

void write_shards(ImageStyle style, const std::filesystem::path& folder) {
  const ShardDataset plain(tiny_data() / "shards");
  ShardWriter writer(folder, 4);
  for (int64_t i = 0; i < plain.size(); ++i) {
    Sample sample = plain.get(i);
    sample.images = images_of(style, i, sample.latent.size(3));
    writer.add(sample);
  }
  writer.finish();
}

void write_init(const std::filesystem::path& folder) {
  const TrainConfig config = tiny_config("");
  torch::manual_seed(12);
  const auto model = config.transformer->build(/*initialise=*/true);
  model->fill_head();
  model->save(folder / "transformer", at::kFloat, WeightLayout::kDiffusers);
  save_text_encoder(folder / "text_encoder", TextEncoder(config.text_encoder), at::kFloat);
  write_text(folder / "model_index.json", R"({"_class_name": "WanPipeline", "expand_timesteps": true})");
}

}  // namespace

const Folder& tiny_image_data(ImageStyle style) {
  static std::map<ImageStyle, Folder> folders;
  if (const auto made = folders.find(style); made != folders.end()) return made->second;
  const Folder& folder = folders[style];
  write_shards(style, folder / "shards");
  std::filesystem::copy_file(tiny_data() / "spiece.model", folder / "spiece.model");
  if (style == ImageStyle::kGiven) write_init(folder / "init");
  return folder;
}

TrainConfig tiny_image_config(ImageStyle style, const std::filesystem::path& data, const std::filesystem::path& out) {
  TrainConfig config = tiny_config(out);
  config.tokenizer = (data / "spiece.model").string();
  config.stage[0].data = (data / "shards").string();
  if (style == ImageStyle::kGiven) {
    config.init = (data / "init").string();
    return config;
  }
  TransformerConfig& transformer = wan_of(config);
  transformer.in_channels = 12;  // latents, mask, latents of the condition
  if (style != ImageStyle::kEmbedded) return config;
  transformer.image_dim = kImageWidth;
  transformer.added_kv_proj_dim = transformer.width();
  return config;
}

TrainConfig tiny_image_config(ImageStyle style, const std::filesystem::path& out) {
  return tiny_image_config(style, tiny_image_data(style).path(), out);
}

}  // namespace moga::test
