// Paths are described without loading weights; unknown files give a one-line error.
#include "moga/pipeline/describe.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/safetensors.h"
#include "moga/data/dataset/shards.h"
#include "moga/data/video/video.h"
#include "moga/model/wan/transformer.h"
#include "moga/model/wan/weight_names.h"
#include "tests/pipeline/tiny_folder.h"
#include "tests/support/error.h"

namespace moga {
namespace {

TEST(Describe, NamesPartsTensorsScriptsAndVideos) {
  test::Folder folder;
  const std::string model = describe(test::tiny_folder());
  for (const char* part : {"a model folder", "transformer: ", "text_encoder: ", "vae: ", "tokenizer: ", "float32"})
    EXPECT_NE(model.find(part), std::string::npos) << model;
  save_safetensors(folder / "a.safetensors", {{"weight", at::zeros({1000, 2}, at::kBFloat16)}}, {{"made", "here"}});
  const std::string tensors = describe(folder / "a.safetensors");
  EXPECT_NE(tensors.find("1 tensor, 2,000 values, bfloat16"), std::string::npos) << tensors;
  EXPECT_NE(tensors.find("weight  bfloat16 [1000, 2]"), std::string::npos) << tensors;
  write_text(folder / "a.toml", "title = \"T\"\nsize = [32, 16]\n[[shot]]\ncaption = \"c\"\nframes = 9\n");
  EXPECT_NE(describe(folder / "a.toml").find("1 shot of 3 latent frames, 9 frames at 16"), std::string::npos);
  const auto writer = make_video_writer(folder / "a.y4m", 32, 16, 8);
  writer->write(at::zeros({2, 3, 16, 32}, at::kByte));
  writer->finish();
  EXPECT_NE(describe(folder / "a.y4m").find("32x16, 8 frames per second, 2 frames"), std::string::npos);
}

// What describe says of these tensors before it counts them.
std::string adapter_line(const TensorMap& tensors, const std::map<std::string, std::string>& metadata = {}) {
  const test::Folder folder;
  const std::string path = (folder / "a.safetensors").string();
  save_safetensors(path, tensors, metadata);
  const std::string text = describe(path).substr(path.size());
  return text.substr(0, text.find('\n'));
}

TEST(Describe, SaysWhatALoraIsAndForWhich) {
  const at::Tensor down = at::zeros({4, 24}), up = at::zeros({24, 4});
  TensorMap lora = {{"transformer.blocks.6.attn1.to_q.lora_A.weight", down},
                    {"transformer.blocks.6.attn1.to_q.lora_B.weight", up},
                    {"transformer.blocks.7.ffn.net.2.lora_A.weight", at::zeros({8, 96})},
                    {"transformer.blocks.7.ffn.net.2.lora_B.weight", at::zeros({24, 8})}};
  EXPECT_EQ(adapter_line(lora),
            ": LoRA for a model of at least 8 blocks of width 24, which the file does not name: updates of 2 layers of "
            "rank 4 to 8");
  lora["transformer_2.blocks.0.attn1.to_q.lora_A.weight"] = down;
  lora["transformer_2.blocks.0.attn1.to_q.lora_B.weight"] = up;
  EXPECT_TRUE(adapter_line(lora).ends_with("; 2 tensors for transformer_2")) << adapter_line(lora);
  std::erase_if(lora, [](const auto& item) { return item.first.starts_with("transformer."); });
  EXPECT_TRUE(adapter_line(lora).ends_with(": updates of 1 layer of transformer_2 of rank 4")) << adapter_line(lora);
  EXPECT_EQ(adapter_line({{"lora_unet_blocks_3_self_attn_q.lora_down.weight", down},
                          {"lora_unet_blocks_3_self_attn_q.lora_up.weight", up}},
                         {{"moga.base", R"({"class": "Wan", "blocks": 9, "width": 24})"}}),
            ": LoRA for Wan of 9 blocks of width 24: updates of 1 layer of rank 4");
}

TEST(Describe, SaysWhyAnAdapterCannotBeUsed) {
  const std::string text = adapter_line({{"transformer.blocks.0.attn1.to_q.lora_magnitude_vector", at::zeros({24})},
                                         {"transformer.blocks.0.attn1.to_q.lora_A.weight", at::zeros({4, 24})}});
  EXPECT_TRUE(text.starts_with(": an adapter that cannot be used: ")) << text;
  EXPECT_NE(text.find("DoRA is not supported"), std::string::npos) << text;
  EXPECT_EQ(adapter_line({{"blocks.0.self_attn.q.weight", at::zeros({2, 2})}}), ": 1 tensor, 4 values, float32, 16 B");
}

TEST(Describe, TellsTwoExpertsAndImageToVideo) {
  const std::string experts = describe(test::two_expert_folder());
  EXPECT_NE(experts.find("  transformer_2: "), std::string::npos) << experts;
  EXPECT_NE(experts.find("two experts: transformer from timestep 900 on, transformer_2 below"), std::string::npos)
      << experts;
  test::Folder folder;
  std::filesystem::copy(test::image_folder(), folder.path(), std::filesystem::copy_options::recursive);
  write_text(folder / "model_index.json", R"({"_class_name": "WanImageToVideoPipeline"})");
  const std::string images = describe(folder.path());
  EXPECT_NE(images.find("image to video: shots of a script name images"), std::string::npos) << images;
  write_text(folder / "model_index.json", R"({"_class_name": "WanPipeline", "expand_timesteps": true})");
  EXPECT_NE(describe(folder.path()).find("  text or image to video: shots of a script may name images\n"),
            std::string::npos);
}

TEST(Describe, CountsTheVideosOfLatentShards) {
  test::Folder folder;
  ShardWriter writer(folder.path(), 1);
  for (int64_t i = 0; i < 2; ++i) writer.add({at::zeros({4, 2, 2, 2}), {2}, {"a caption"}});
  writer.finish();
  EXPECT_NE(describe(folder.path()).find(": latent shards of 2 videos\n"), std::string::npos);
}

TEST(Describe, ShowsLongAndForeignMetadataOnOneLineEach) {
  test::Folder folder;
  std::string umlauts;
  for (int i = 0; i < 100; ++i) umlauts += "\u00fc";
  save_safetensors(folder / "a.safetensors", {}, {{"long", umlauts}, {"lines", "one\ntwo"}});
  const std::string text = describe(folder / "a.safetensors");
  EXPECT_NE(text.find(": no tensors\n"), std::string::npos) << text;
  EXPECT_NE(text.find("lines = one two\n"), std::string::npos) << text;
  EXPECT_NE(text.find("long = " + umlauts.substr(0, 116) + "...\n"), std::string::npos) << text;
}

TEST(Describe, SaysWhatAModelFolderLacks) {
  test::Folder folder;
  std::filesystem::copy(test::tiny_folder(), folder.path(), std::filesystem::copy_options::recursive);
  const std::string whole = describe(folder.path());
  EXPECT_NE(whole.find("2 blocks of width 24, moga attention with 3 groups, combined by mean\n"), std::string::npos)
      << whole;
  EXPECT_EQ(whole.find("missing"), std::string::npos) << whole;
  std::filesystem::remove(folder / "vae/diffusion_pytorch_model.safetensors");
  std::filesystem::remove_all(folder / "scheduler");
  write_text(folder / "text_encoder/model.safetensors", "cut");
  const std::string text = describe(folder.path());
  for (const char* line :
       {"missing: scheduler/scheduler_config.json\n", "missing: vae/*.safetensors\n", "text_encoder: cannot be read: "})
    EXPECT_NE(text.find(line), std::string::npos) << text;
}

// What describe says of a model folder, and the error of loading it ("" when it loads).
struct Described {
  std::string text, error;
};

// The tiny model with the weights of one part changed.
Described described_with(const std::string& part, const std::function<void(TensorMap&)>& change) {
  const test::Folder folder;
  std::filesystem::copy(test::tiny_folder(), folder.path(), std::filesystem::copy_options::recursive);
  const std::string file = part == "text_encoder" ? "model.safetensors" : "diffusion_pytorch_model.safetensors";
  TensorMap tensors = Safetensors(folder / part / file).load_all();
  change(tensors);
  save_safetensors(folder / part / file, tensors);
  return {describe(folder.path()), test::error_of([&] { load_models(folder.path(), at::kCPU, at::kFloat); })};
}

void expect_says(const std::string& text, const std::string& line) {
  EXPECT_NE(text.find("\n    " + line + "\n"), std::string::npos) << text;
}

// Loading refuses the tensor that describe names first, in the same words.
void expect_refused(const Described& described, const std::string& line) {
  expect_says(described.text, line);
  const std::string tensor = line.substr(line.find("first: ") + 7);
  EXPECT_NE(described.error.find(": tensor " + tensor), std::string::npos) << described.error;
}

void expect_loads(const Described& described, const std::string& line) {
  expect_says(described.text, line);
  EXPECT_EQ(described.error, "");
}

void rename_as_diffusers(TensorMap& tensors) {
  TensorMap renamed;
  for (const auto& [name, tensor] : tensors) renamed[diffusers_name(name).value()] = tensor;
  tensors = renamed;
}

TEST(Describe, NamesMissingTensorsAsTheFileWould) {
  expect_refused(
      described_with("transformer", [](TensorMap& tensors) { tensors.erase("blocks.1.self_attn.q.weight"); }),
      "1 tensor missing, first: blocks.1.self_attn.q.weight is missing, expected shape [24, 24]");
  // Removes a shard that contains the tensors by which the layouts are most easily distinguished.
  const Described layout = described_with("transformer", [](TensorMap& tensors) {
    rename_as_diffusers(tensors);
    std::erase_if(tensors, [](const auto& item) { return item.first.starts_with("condition_embedder."); });
  });
  expect_refused(layout,
                 "10 tensors missing, first: condition_embedder.text_embedder.linear_1.bias is missing, expected "
                 "shape [24]");
  expect_refused(described_with("text_encoder", [](TensorMap& tensors) { tensors.erase("token_embedding.weight"); }),
                 "1 tensor missing, first: token_embedding.weight is missing, expected shape [64, 16]");
  expect_refused(described_with("vae", [](TensorMap& tensors) { tensors.erase("decoder.conv_out.bias"); }),
                 "1 tensor missing, first: decoder.conv_out.bias is missing, expected shape [3]");
}

TEST(Describe, NamesShapesThatConfigJsonDoesNotSay) {
  const auto widen = [](TensorMap& tensors) {
    tensors["head.head.bias"] = at::zeros({17});
    tensors["blocks.0.ffn.0.bias"] = at::zeros({33});
  };
  expect_refused(described_with("transformer", widen),
                 "2 tensors not as config.json says, first: blocks.0.ffn.0.bias has shape [33], expected [32]");
  expect_refused(described_with("vae", [](TensorMap& tensors) { tensors["quant_conv.bias"] = at::zeros({2}); }),
                 "1 tensor not as config.json says, first: quant_conv.bias has shape [2], expected [8]");
}

TEST(Describe, AnOriginalWanRepositoryIsToldTheTool) {
  const test::Folder folder;
  std::filesystem::copy(test::tiny_folder() / "transformer", folder.path());
  write_text(folder / "Wan2.1_VAE.pth", "pickle");
  EXPECT_NE(describe(folder.path()).find("tools/convert_wan.py"), std::string::npos) << describe(folder.path());
  const std::string expected = folder.path().string() + ": an original Wan repository, ";
  EXPECT_EQ(test::error_of([&] { load_models(folder.path(), at::kCPU, at::kFloat); }).find(expected), 0u);
  EXPECT_EQ(test::error_of([&] { load_model_configs(folder.path()); }).find(expected), 0u);
}

TEST(Describe, NamesTensorsThatConfigJsonHasNoUseFor) {
  const auto deepen = [](TensorMap& tensors) {
    tensors["blocks.2.ffn.0.bias"] = at::zeros({32});
    tensors["blocks.2.ffn.2.bias"] = at::zeros({24});
  };
  const Described described = described_with("transformer", deepen);
  expect_says(described.text, "2 tensors for which config.json has no use, first: blocks.2.ffn.0.bias");
  EXPECT_NE(described.error.find("2 tensors for which config.json has no use, first blocks.2.ffn.0.bias"),
            std::string::npos)
      << described.error;
}

TEST(Describe, NamesRoutersThatBeginAnew) {
  const auto erase = [](TensorMap& tensors) {
    rename_as_diffusers(tensors);
    tensors.erase("blocks.1.attn1.router.weight");
  };
  expect_loads(described_with("transformer", erase),
               "1 tensor of routers missing, which start at random when loaded, first: blocks.1.attn1.router.weight");
}

// The most address space that this process has held: memory that was asked for counts, touched or not.
int64_t peak_kilobytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word && word != "VmPeak:") continue;
  int64_t kilobytes = 0;
  EXPECT_TRUE(status >> kilobytes);
  return kilobytes;
}

TEST(Describe, A14BTransformerTakesNoMemoryAndNoTime) {
  const test::Folder folder;
  TransformerConfig config;
  config.num_attention_heads = 40;
  config.ffn_dim = 13824;
  config.num_layers = 40;
  save_safetensors(folder / "transformer/diffusion_pytorch_model.safetensors",
                   {{"patch_embedding.bias", at::zeros({5120})}, {"head.modulation", at::zeros({1, 2, 5120})}});
  write_text(folder / "transformer/config.json", to_json(config));
  const int64_t before = peak_kilobytes();
  const auto begin = std::chrono::steady_clock::now();
  const std::string text = describe(folder.path());
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  EXPECT_NE(text.find("1093 tensors missing"), std::string::npos) << text;
  EXPECT_LT(seconds.count(), 2);
  EXPECT_LT(peak_kilobytes() - before, 256 << 10);
}

TEST(Describe, OtherThingsGetOneLine) {
  test::Folder folder;
  const auto error = [](const std::filesystem::path& path) { return test::error_of([&] { describe(path); }); };
  EXPECT_EQ(error(folder / "nothing"), (folder / "nothing").string() + ": no such file or folder");
  EXPECT_EQ(error(folder.path()), folder.path().string() +
                                      ": neither a model folder (transformer, text_encoder, "
                                      "tokenizer, vae) nor one with safetensors");
  write_text(folder / "a.safetensors", "nothing of the kind");
  EXPECT_EQ(error(folder / "a.safetensors"),
            (folder / "a.safetensors").string() +  // the length is "nothing ", read as a number
                ": header length 2334956330817974126 is beyond the format's limit; is this a safetensors file?");
  write_text(folder / "vae.pth", "PK");
  EXPECT_NE(error(folder / "vae.pth").find("tools/convert_wan.py"), std::string::npos);
}

}  // namespace
}  // namespace moga
