// Text encoder: equal to transformers' UMT5EncoderModel, outputs and gradients; padding, dtypes, files.
#include "moga/model/text/text_encoder.h"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/module_io.h"
#include "moga/core/safetensors.h"
#include "moga/model/text/names.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

TextEncoderConfig tiny() {
  return {.vocab_size = 40,
          .d_model = 16,
          .d_kv = 8,
          .d_ff = 32,
          .num_layers = 2,
          .num_heads = 2,
          .relative_attention_num_buckets = 8,
          .relative_attention_max_distance = 20};
}

const TensorMap& fixture() {
  static const TensorMap tensors = Safetensors(MOGA_FIXTURES "/umt5.safetensors").load_all();
  return tensors;
}

TextEncoder encoder_of_fixture() {
  TextEncoder encoder(tiny(), /*initialise=*/false);
  LoadOptions options;
  options.file_name_of = hugging_face_text_name;
  load_parameters(*encoder, Safetensors(MOGA_FIXTURES "/umt5.safetensors"), options);
  return encoder;
}

at::Tensor encode_fixture(TextEncoder& encoder, at::ScalarType dtype) {
  return encoder->forward(fixture().at("ids"), fixture().at("lengths"), dtype);
}

TEST(TextEncoder, EqualsTransformers) {
  TextEncoder encoder = encoder_of_fixture();
  EXPECT_TRUE(test::close(encode_fixture(encoder, at::kFloat), fixture().at("output"), 1e-5));
}

TEST(TextEncoder, GradientsEqualTransformers) {
  TextEncoder encoder = encoder_of_fixture();
  (encode_fixture(encoder, at::kFloat) * fixture().at("output_weights")).sum().backward();
  int compared = 0;
  for (const auto& item : encoder->named_parameters()) {
    const auto expected = fixture().find("gradient." + hugging_face_text_name(item.key()));
    if (expected == fixture().end()) continue;
    EXPECT_TRUE(test::close(item.value().grad(), expected->second, 2e-5)) << item.key();
    ++compared;
  }
  EXPECT_EQ(compared, 5);
}

TEST(TextEncoder, BFloat16IsAsGoodAsTransformers) {
  TextEncoder encoder = encoder_of_fixture();
  const at::Tensor exact = encode_fixture(encoder, at::kDouble);
  const at::Tensor output = encode_fixture(encoder, at::kBFloat16);
  EXPECT_EQ(output.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(test::as_good_as(output, fixture().at("output_bfloat16"), exact, 1.0));
}

TEST(TextEncoder, PaddingChangesNothing) {
  TextEncoder encoder = encoder_of_fixture();
  const at::Tensor ids = at::randint(2, 40, {1, 7}, at::kLong);
  const at::Tensor length = at::full({1}, 7, at::kLong);
  const at::Tensor padded = at::cat({ids, at::randint(2, 40, {1, 5}, at::kLong)}, 1);
  const at::Tensor alone = encoder->forward(ids, length, at::kFloat);
  const at::Tensor in_batch = encoder->forward(padded, length, at::kFloat);
  EXPECT_TRUE(test::close(in_batch.narrow(1, 0, 7), alone, 1e-6));
  EXPECT_EQ(in_batch.narrow(1, 7, 5).abs().max().item<float>(), 0.0f);
}

TEST(TextEncoder, AnEmptyTextIsZeroAndItsGradientANumber) {
  TextEncoder encoder(tiny());
  const at::Tensor output = encoder->forward(at::zeros({1, 3}, at::kLong), at::zeros({1}, at::kLong), at::kFloat);
  EXPECT_EQ(output.abs().max().item<float>(), 0.0f);
  output.sum().backward();
  for (const at::Tensor& parameter : encoder->parameters()) EXPECT_FALSE(parameter.grad().isnan().any().item<bool>());
}

TEST(TextEncoder, StartsWithActivationsOfOrderOne) {
  torch::manual_seed(1);
  TextEncoder encoder(
      TextEncoderConfig{.vocab_size = 100, .d_model = 64, .d_kv = 16, .d_ff = 128, .num_layers = 4, .num_heads = 4});
  const at::Tensor ids = at::randint(100, {2, 20}, at::kLong);
  const at::Tensor output = encoder->forward(ids, at::full({2}, 20, at::kLong), at::kFloat);
  EXPECT_NEAR(output.std().item<double>(), 1.0, 0.1);
}

// Gradients of the fixture's loss, computed in bfloat16.
std::map<std::string, at::Tensor> coarse_gradients(TextEncoder& encoder, at::Device device) {
  encoder->to(device);
  encoder->zero_grad();
  const auto on = [&](const char* name) { return fixture().at(name).to(device); };
  const at::Tensor output = encoder->forward(on("ids"), on("lengths"), at::kBFloat16);
  (output * on("output_weights")).sum().backward();
  std::map<std::string, at::Tensor> gradients;
  for (const auto& item : encoder->named_parameters()) gradients[item.key()] = item.value().grad().cpu().clone();
  return gradients;
}

TEST(TextEncoderGpu, EqualsTheCpu) {
  MOGA_NEEDS_GPU();
  TextEncoder encoder = encoder_of_fixture();
  const at::Tensor exact = encode_fixture(encoder, at::kDouble);
  encoder->to(at::kCUDA);
  const at::Tensor ids = fixture().at("ids").cuda(), lengths = fixture().at("lengths").cuda();
  EXPECT_TRUE(test::close(encoder->forward(ids, lengths, at::kFloat).cpu(), exact.to(at::kFloat), 1e-5));
  EXPECT_TRUE(test::as_good_as(encoder->forward(ids, lengths, at::kBFloat16), fixture().at("output_bfloat16"), exact));
}

TEST(TextEncoderGpu, GradientsAreAsGoodAsTheCpus) {
  MOGA_NEEDS_GPU();
  TextEncoder encoder = encoder_of_fixture();
  const auto plain = coarse_gradients(encoder, at::kCPU), actual = coarse_gradients(encoder, at::kCUDA);
  for (const auto& [name, gradient] : actual) {
    const auto expected = fixture().find("gradient." + hugging_face_text_name(name));
    if (expected == fixture().end()) continue;
    EXPECT_TRUE(test::as_good_as(gradient, plain.at(name), expected->second.to(at::kDouble), 2.0, 1e-3)) << name;
  }
}

TEST(DistanceBuckets, AreExactNearbyAndLogarithmicFarOff) {
  const at::Tensor buckets = distance_buckets(200, 32, 128, at::kCPU);  // distance d at 199 + d
  const auto at_distance = [&](int64_t d) { return buckets[199 + d].item<int64_t>(); };
  EXPECT_EQ(at_distance(0), 0);
  EXPECT_EQ(at_distance(-7), 7);
  EXPECT_EQ(at_distance(7), 23);
  EXPECT_EQ(at_distance(-8), 8);
  EXPECT_EQ(at_distance(-127), 15);
  EXPECT_EQ(at_distance(-199), 15);
  EXPECT_EQ(at_distance(199), 31);
}

TEST(TextEncoderFiles, SaveAndLoadKeepEveryBit) {
  const test::Folder folder;
  TextEncoder saved(tiny());
  save_text_encoder(folder.path(), saved, at::kFloat);
  TextEncoder loaded = load_text_encoder(folder.path(), at::kCPU, at::kFloat);
  EXPECT_TRUE(at::equal(encode_fixture(loaded, at::kFloat), encode_fixture(saved, at::kFloat)));
  EXPECT_EQ(load_text_encoder(folder.path(), at::kCPU, at::kBFloat16)->parameters()[0].scalar_type(), at::kBFloat16);
}

TEST(TextEncoderFiles, HuggingFaceFoldersLoadUnderEitherNameOfTheEmbedding) {
  for (const std::string embedding : {"shared.weight", "encoder.embed_tokens.weight"}) {
    const test::Folder folder;
    TensorMap tensors = fixture();
    const at::Tensor weight = tensors.at("shared.weight");
    tensors.erase("shared.weight");
    std::erase_if(tensors, [](const auto& item) { return !item.first.starts_with("encoder."); });
    tensors[embedding] = weight;
    save_safetensors(folder / "model.safetensors", tensors);
    write_text(folder / "config.json", to_json(tiny()));
    TextEncoder encoder = load_text_encoder(folder.path(), at::kCPU, at::kFloat);
    EXPECT_TRUE(test::close(encode_fixture(encoder, at::kFloat), fixture().at("output"), 1e-5)) << embedding;
  }
}

TEST(TextEncoderConfig, RefusesSizesThatCannotBe) {
  TextEncoderConfig config = tiny();
  config.relative_attention_num_buckets = 6;
  EXPECT_EQ(test::error_of([&] { TextEncoder{config}; }),
            "relative_attention_num_buckets = 6: expected a multiple of 4");
  config = tiny();
  config.relative_attention_max_distance = 2;
  EXPECT_EQ(test::error_of([&] { TextEncoder{config}; }),
            "relative_attention_max_distance = 2: expected more than a quarter of relative_attention_num_buckets (8)");
  config = tiny();
  config.num_layers = 1'000'000'000;
  EXPECT_EQ(test::error_of([&] { config.validate(); }), "num_layers = 1000000000: expected at most 10000");
}

TEST(TextEncoderConfig, KeysThatAreNotUnderstoodAreErrors) {
  const auto says = [](const std::string& text, const std::string& expected) {
    const test::Folder folder;
    write_text(folder / "config.json", text);
    const std::string message = test::error_of([&] { load_text_encoder_config(folder / "config.json"); });
    EXPECT_EQ(expected.empty(), message.empty()) << message;
    EXPECT_NE(message.find(expected), std::string::npos) << text << ": " << message;
  };
  says(R"({"num_headz": 4})", "unknown key 'num_headz'; did you mean 'num_heads'?");
  says(R"({"model_type": "t5"})",
       "model_type = \"t5\" is not supported, expected \"umt5\": this is not a UMT5 encoder");
  says(R"({"feed_forward_proj": "relu"})", "feed_forward_proj = \"relu\" is not supported, expected \"gated-gelu\"");
  says(R"({"quantization_config": {"bits": 8}})", "quantization_config");
  says(R"({"model_type": "umt5", "dropout_rate": 0.1, "use_cache": false, "torch_dtype": "bfloat16"})", "");
}

TEST(TextNames, RefuseWhatIsNotTheEncoders) {
  for (const std::string name : {"blocks.0.attn.router.weight", "blocks.0"})
    EXPECT_EQ(test::error_of([&] { hugging_face_text_name(name); }), "text encoder: no parameter is named " + name);
}

}  // namespace
}  // namespace moga
