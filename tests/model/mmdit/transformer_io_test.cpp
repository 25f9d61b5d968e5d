// MMDiTs in folders and in the registry: what is saved is loaded, what is not understood is refused; low-rank updates,
// weights in 8 bits and streamed weights.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/module_io.h"
#include "moga/model/adapter/low_rank.h"
#include "moga/model/registry.h"
#include "tests/model/mmdit/mmdit_cases.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

using test::Folder;
using test::random_mmdit;
using test::small_mmdit;

constexpr const char* kFile = "diffusion_pytorch_model.safetensors";
const VideoShape kTwoShots = {.frames = 3, .rows = 2, .columns = 2, .shot_frames = {1, 2}};

at::Tensor velocity(VideoModel& model, at::ScalarType dtype = at::kFloat) {
  const at::NoGradGuard no_grad;
  at::manual_seed(9);
  const MmditConfig& config = dynamic_cast<const MmditConfig&>(model.config());
  return model.forward(test::mmdit_input(config, {kTwoShots}), dtype).velocity[0];
}

VideoModelPtr load(const Folder& folder, VideoModelLoad how = {.device = at::kCPU, .dtype = at::kFloat}) {
  return load_video_model(folder.path(), how);
}

TEST(MmditFolder, ReturnsWhatWasSaved) {
  const Folder folder;
  Mmdit model = random_mmdit(small_mmdit(JointScope::kFrame));
  model->save(folder.path(), at::kFloat, WeightLayout::kDiffusers);
  EXPECT_TRUE(video_model_file_fit(folder.path()).misfits.empty());
  EXPECT_TRUE(video_model_file_fit(folder.path()).report.unused.empty());
  const VideoModelPtr loaded = load(folder);
  EXPECT_EQ(loaded->config().shape().joint, JointScope::kFrame);
  const TensorMap tensors = named_tensors(*loaded);
  for (const auto& [name, tensor] : named_tensors(*model)) EXPECT_TRUE(at::equal(tensors.at(name), tensor)) << name;
}

TEST(MmditFolder, HasFixedNames) {
  const TensorMap tensors = named_tensors(*Mmdit(small_mmdit()));
  for (const char* name :
       {"patch_embedding.weight", "text_embedding.0.weight", "time_embedding.2.bias", "time_projection.1.weight",
        "text_time_projection.1.weight", "blocks.0.modulation", "blocks.0.self_attn.router.weight",
        "blocks.0.self_attn.norm_q.weight", "blocks.0.cross_attn.o.weight", "blocks.0.ffn.2.weight",
        "blocks.0.text.modulation", "blocks.0.text.cross_attn.norm_q.weight", "blocks.0.text.cross_attn.o.bias",
        "blocks.0.text.ffn.0.weight", "blocks.1.text.cross_attn.k.weight", "head.head.weight", "head.modulation"})
    EXPECT_TRUE(tensors.contains(name)) << name;
  EXPECT_EQ(tensors.at("blocks.0.text.modulation").size(1), 6);
  EXPECT_EQ(tensors.at("blocks.1.text.modulation").size(1), 2);
  EXPECT_FALSE(tensors.contains("blocks.1.text.cross_attn.q.weight"));  // nothing reads the last block's text
  EXPECT_FALSE(tensors.contains("blocks.1.text.ffn.0.weight"));
}

TEST(MmditFolder, KeysAndTensorsThatAreNotUnderstoodAreErrors) {
  const Folder folder;
  random_mmdit(small_mmdit())->save(folder.path(), at::kFloat, WeightLayout::kWan);
  const std::string config = read_text(folder / "config.json");
  EXPECT_TRUE(config.starts_with("{\n  \"_class_name\": \"MogaMMDiTTransformer3DModel\""));
  const auto error = [&](const std::string& from, const std::string& to) {
    std::string changed = config;
    changed.replace(changed.find(from), from.size(), to);
    write_text(folder / "config.json", changed);
    return test::error_of([&] { load(folder); });
  };
  EXPECT_NE(error("\"joint\": \"shot\"", "\"jiont\": \"shot\"").find("jiont"), std::string::npos);
  EXPECT_NE(error("\"joint\": \"shot\"", "\"joint\": \"video\"").find("shot, frame"), std::string::npos);
  EXPECT_NE(error("\"ffn_dim\": 32", "\"ffn_dim\": 40").find("blocks.0.ffn.0.bias has shape [32], expected [40]"),
            std::string::npos);
  EXPECT_NE(
      error("\"num_layers\": 2", "\"num_layers\": 1").find("text.modulation has shape [1, 6, 24], expected [1, 2, 24]"),
      std::string::npos);
}

TEST(MmditFolder, ATensorWithoutAUseIsAnError) {
  const Folder folder;
  Mmdit model = random_mmdit(small_mmdit());
  model->save(folder.path(), at::kFloat, WeightLayout::kWan);
  TensorMap tensors = named_tensors(*model);
  tensors["blocks.1.text.ffn.0.bias"] = at::zeros({32});  // the last block's text stream ends with keys and values
  save_safetensors(folder / kFile, tensors);
  EXPECT_NE(test::error_of([&] {
              load(folder);
            }).find("1 tensor for which config.json has no use, first blocks.1.text.ffn.0.bias"),
            std::string::npos);
}

TEST(MmditFolder, MissingRoutersAreInitialisedOthersAreNot) {
  const Folder folder;
  random_mmdit(small_mmdit())->save(folder.path(), at::kFloat, WeightLayout::kWan);
  TensorMap tensors;
  {
    const Safetensors file(folder / kFile);
    for (const std::string& name : file.names())
      if (name.find(".router.") == std::string::npos) tensors[name] = file.load(name).clone();
  }
  save_safetensors(folder / kFile, tensors);
  EXPECT_LT(named_tensors(*load(folder)).at("blocks.1.self_attn.router.weight").abs().max().item<float>(), 0.2f);
  tensors.erase("blocks.0.text.ffn.0.weight");
  save_safetensors(folder / kFile, tensors);
  EXPECT_NE(test::error_of([&] { load(folder); }).find("blocks.0.text.ffn.0.weight is missing"), std::string::npos);
}

TEST(MmditFolder, StreamedAndRestingWeightsGiveTheSameVelocity) {
  const Folder folder;
  Mmdit model = random_mmdit(small_mmdit());
  model->save(folder.path(), at::kFloat, WeightLayout::kWan);
  const at::Tensor expected = velocity(*model);
  const VideoModelPtr streamed = load(folder, {.device = at::kCPU, .dtype = at::kFloat, .stream_blocks = true});
  EXPECT_TRUE(at::equal(velocity(*streamed), expected));
  const VideoModelPtr resting = load(folder, {.device = at::kCPU, .dtype = at::kFloat, .rest_on_host = true});
  resting->wake();
  EXPECT_TRUE(at::equal(velocity(*resting), expected));
}

TEST(MmditFolder, WeightsInEightBitsStayCloseToTheirSource) {
  const Folder folder;
  Mmdit model = random_mmdit(small_mmdit());
  model->save(folder.path(), at::kFloat8_e4m3fn, WeightLayout::kWan);
  const Safetensors file(folder / kFile);
  for (const char* name : {"blocks.0.text.cross_attn.k.weight", "blocks.0.text.ffn.2.weight", "blocks.1.ffn.0.weight"})
    EXPECT_EQ(file.dtype(name), at::kFloat8_e4m3fn) << name;
  EXPECT_EQ(file.dtype("blocks.0.text.modulation"), at::kFloat);
  const VideoModelPtr loaded = load(folder);
  EXPECT_TRUE(test::close(velocity(*loaded), velocity(*model), 0.1));
}

TEST(MmditFolder, LowRankUpdatesReachBothStreams) {
  Mmdit model = random_mmdit(small_mmdit());
  train_low_rank(*model, {.rank = 2, .targets = {"self_attn", "cross_attn", "ffn", "text"}}, at::kCPU);
  const TensorMap tensors = named_tensors(*model);
  for (const char* name : {"blocks.0.cross_attn.q.lora_up", "blocks.0.text.cross_attn.q.lora_up",
                           "blocks.0.text.ffn.2.lora_up", "blocks.1.text.cross_attn.v.lora_up"})
    EXPECT_TRUE(tensors.contains(name)) << name;
  EXPECT_FALSE(tensors.at("blocks.0.text.cross_attn.q.weight").requires_grad());
  EXPECT_TRUE(tensors.at("blocks.0.self_attn.router.weight").requires_grad());
}

TEST(MmditFolder, ItsTableNamesItsFamily) {
  const config_detail::Node table = small_mmdit().tree();
  EXPECT_EQ(table.members.front().key, "_class_name");
  EXPECT_EQ(table.members.front().value.text, "MogaMMDiTTransformer3DModel");
  EXPECT_STREQ(default_video_model("MogaMMDiTTransformer3DModel")->class_name(), "MogaMMDiTTransformer3DModel");
  EXPECT_EQ(published_video_model("MMDiT-2B")->attention().groups, 20);
  EXPECT_EQ(pipeline_class("MogaMMDiTTransformer3DModel"), "MogaMMDiTPipeline");
}

TEST(MmditFolder, SizesThatNoModelHasAreRefused) {
  const auto error = [](auto change) {
    MmditConfig config = small_mmdit();
    change(config);
    return test::error_of([&] { config.validate(); });
  };
  EXPECT_EQ(error([](MmditConfig& c) { c.text_len = 0; }), "transformer: a size is 0, expected 1 to 1048576");
  EXPECT_EQ(error([](MmditConfig& c) { c.num_layers = 0; }), "transformer: num_layers is 0, expected 1 to 10000");
  EXPECT_EQ(error([](MmditConfig& c) { c.moga.full_layers = {2}; }),
            "transformer: full_layers has 2, the blocks are 0 to 1");
}

}  // namespace
}  // namespace moga
