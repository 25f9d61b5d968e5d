// Files with 8-bit weights: both layouts load as they are, other formats are refused by name.
#include "moga/model/layers/scaled_weights.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/container/modulelist.h>

#include <cmath>
#include <limits>

#include "moga/model/layers/linear.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

using Metadata = std::map<std::string, std::string>;

at::Tensor bits(at::IntArrayRef shape) { return at::ones(shape).to(at::kFloat8_e4m3fn); }
at::Tensor text(const std::string& json) {
  return at::tensor(std::vector<int64_t>(json.begin(), json.end())).to(at::kByte);
}

// A layer "0" of 3 → 2 with a weight of ones in 8 bits, and more.
TensorMap layer_and(const TensorMap& more) {
  TensorMap tensors = {{"0.weight", bits({2, 3})}, {"0.bias", at::zeros({2})}};
  for (const auto& [name, tensor] : more) tensors[name] = tensor;
  return tensors;
}

// x·Wᵀ of ones by a layer loaded from the file.
at::Tensor loaded_product(const TensorMap& tensors, const Metadata& metadata = {}) {
  const test::Folder folder;
  save_safetensors(folder / "a.safetensors", tensors, metadata);
  const Safetensors file(folder / "a.safetensors");
  torch::nn::ModuleList shapes, model;
  shapes->push_back(Linear(3, 2));
  model->push_back(Linear(3, 2));
  LoadOptions options;
  EXPECT_TRUE(scaled_file_fit(*shapes, file, options).report.unused.empty());
  expect_scaled_weights(*model, file, options);
  load_parameters(*model, file, options);
  const at::NoGradGuard no_grad;
  return model[0]->as<LinearImpl>()->forward(at::ones({1, 3}));
}

std::string error_of(const TensorMap& tensors, const Metadata& metadata = {}) {
  const test::Folder folder;
  save_safetensors(folder / "a.safetensors", tensors, metadata);
  return test::error_of([&] { find_scaled_weights(Safetensors(folder / "a.safetensors")); });
}

TEST(ScaledWeights, BothLayoutsLoadAsTheyAre) {
  const at::Tensor scale = at::full({}, 0.5), expected = at::full({1, 2}, 1.5);
  EXPECT_TRUE(at::equal(loaded_product(layer_and({{"0.scale_weight", scale}, {"scaled_fp8", bits({0})}})), expected));
  EXPECT_TRUE(at::equal(loaded_product(layer_and({{"0.weight_scale", scale},
                                                  {"0.input_scale", at::ones({})},
                                                  {"0.comfy_quant", text(R"({"format": "float8_e4m3fn"})")}})),
                        expected));
  const Metadata metadata = {{"_quantization_metadata", R"({"layers": {"0": {"format": "float8_e4m3fn"}}})"}};
  EXPECT_TRUE(at::equal(loaded_product(layer_and({{"0.weight_scale", at::full({1}, 0.5)}}), metadata), expected));
  const at::Tensor rows = at::tensor({1.0f, 2.0f}).unsqueeze(1);
  EXPECT_TRUE(at::equal(loaded_product(layer_and({{"0.weight_scale", rows}})), at::tensor({3.0f, 6.0f}).unsqueeze(0)));
}

TEST(ScaledWeights, OtherFormatsAreRefusedByName) {
  const at::Tensor scale = at::ones({});
  const auto comfy = [&](const std::string& format) {
    return error_of(layer_and({{"0.comfy_quant", text(R"({"format": ")" + format + R"("})")}}));
  };
  for (const char* format : {"nvfp4", "mxfp8", "int8_tensorwise", "float8_e5m2"})
    EXPECT_NE(comfy(format).find(std::string(": weights in ") + format + " (0.comfy_quant) are not supported"),
              std::string::npos);
  const Metadata metadata = {{"_quantization_metadata", R"({"layers": {"0": {"format": "nvfp4"}}})"}};
  EXPECT_NE(error_of(layer_and({}), metadata).find("weights in nvfp4 (0)"), std::string::npos);
  TensorMap int8 = layer_and({{"0.weight_scale", scale}});
  int8["0.weight"] = at::ones({2, 3}, at::kChar);
  EXPECT_NE(error_of(int8).find("weights in int8 (0.weight)"), std::string::npos);
  const at::Tensor blocks = at::ones({2, 3}).to(at::kFloat8_e8m0fnu);
  EXPECT_NE(error_of(layer_and({{"0.weight_scale", blocks}})).find("weights in mxfp8"), std::string::npos);
  EXPECT_NE(error_of(layer_and({{"0.weight_scale", at::ones({2, 3})}})).find("float8 with scales of blocks"),
            std::string::npos);
}

TEST(ScaledWeights, DamagedFilesAreRefused) {
  const at::Tensor scale = at::ones({});
  EXPECT_NE(error_of(layer_and({{"1.weight_scale", scale}})).find("1.weight_scale has no 1.weight"), std::string::npos);
  EXPECT_NE(error_of(layer_and({{"0.weight_scale", scale}, {"0.scale_weight", scale}}))
                .find("0.scale_weight and 0.weight_scale are scales of the same weight"),
            std::string::npos);
  EXPECT_NE(error_of(layer_and({{"0.comfy_quant", text("{")}})).find("0.comfy_quant"), std::string::npos);
  EXPECT_NE(error_of(layer_and({{"0.comfy_quant", text("{}")}})).find("states no format"), std::string::npos);
  EXPECT_NE(error_of(layer_and({{"0.comfy_quant", at::ones({2})}})).find("expected the bytes of a JSON text"),
            std::string::npos);
  for (const double value : {-1.0, std::numeric_limits<double>::infinity(), std::nan("")})
    EXPECT_NE(error_of(layer_and({{"0.weight_scale", at::full({}, value)}})).find("expected finite numbers from 0 on"),
              std::string::npos);
  EXPECT_NE(error_of(layer_and({}), {{"_quantization_metadata", "{}"}}).find("has no layers"), std::string::npos);
  TensorMap wide = layer_and({{"0.weight_scale", scale}});
  wide["0.weight"] = at::ones({2, 3});
  EXPECT_NE(error_of(wide).find("0.weight holds Float and has a scale, expected float8_e4m3fn"), std::string::npos);
}

}  // namespace
}  // namespace moga
