// MoGA adapters: what is saved comes back on another base of the same shape, and on no other.
#include "moga/model/adapter/moga_adapter.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "moga/core/module_io.h"
#include "moga/model/adapter/adapters.h"
#include "moga/model/layers/product_weight.h"
#include "tests/model/wan/transformer_cases.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

class MogaAdapterFile : public testing::Test {
 protected:
  std::string path() const { return (folder_ / "a.safetensors").string(); }

  // A model with routers and trained updates, saved as an adapter.
  Transformer trained(AdapterNames names) {
    Transformer model = test::random_transformer(test::small_config());
    train_low_rank(*model, {.rank = 3, .alpha = 6, .targets = {"self_attn.q", "ffn"}}, at::kCPU);
    const at::NoGradGuard no_grad;
    for (const auto& item : model->named_parameters())
      if (is_low_rank(item.key())) item.value().copy_(at::randn_like(item.value()).to(at::kBFloat16));
    save_moga_adapter(path(), *model, names);
    return model;
  }
  std::string error_on(TransformerConfig config) {
    return test::error_of([&] {
      config.apply(adapter_settings(path()), "adapter");
      Adapters({.adapter = path()}, config);
    });
  }

  test::Folder folder_;
};

TEST_F(MogaAdapterFile, TurnsAnyBaseOfTheShapeIntoAModelWithRouters) {
  for (const auto& names : kChoices<AdapterNames>) {
    const Transformer model = trained(names.value);
    TransformerConfig config = test::full_attention(test::small_config());
    config.moga.groups = 5;
    config.apply(adapter_settings(path()), "adapter");
    EXPECT_EQ(config.moga.groups, 3);
    EXPECT_EQ(config.moga.windows.run_frames, 2);
    Transformer base = test::random_transformer(config);
    const at::Tensor q = named_tensors(*base).at("blocks.1.self_attn.q.weight").clone();
    Adapters({.adapter = path()}, config).adapt(at::kCPU, at::kFloat)(*base);
    const TensorMap found = named_tensors(*base), expected = named_tensors(*model);
    for (const char* name : {"blocks.0.self_attn.router.weight", "blocks.1.self_attn.router.bias"})
      EXPECT_TRUE(at::equal(found.at(name), expected.at(name))) << name;
    const at::Tensor update =
        2 * expected.at("blocks.1.self_attn.q.lora_up").mm(expected.at("blocks.1.self_attn.q.lora_down"));
    const at::NoGradGuard no_grad;
    const auto* layer = base->named_modules()["blocks.1.self_attn.q"]->as<LinearImpl>();
    EXPECT_TRUE(test::close(layer->weight_in(at::kFloat), q + update, 1e-5)) << names.name;
  }
}

TEST_F(MogaAdapterFile, SaysForWhichBaseItIs) {
  trained(AdapterNames::kComfyUi);
  EXPECT_EQ(error_on(test::full_attention(test::small_config())), "");
  TransformerConfig config = test::small_config();
  config.num_layers = 3;
  EXPECT_NE(error_on(config).find(": an adapter for WanTransformer3DModel of 2 blocks of width 32, the model is "
                                  "WanTransformer3DModel of 3 blocks of width 32"),
            std::string::npos);
  config.num_layers = 2;
  config.ffn_dim = 48;
  EXPECT_NE(error_on(config).find("of width 32 with other tensors"), std::string::npos);
  config = test::small_config();
  config.apply(adapter_settings(path()), "adapter");
  config.moga.groups = 4;
  EXPECT_NE(test::error_of([&] { Adapters({.adapter = path()}, config); }).find("needs [4]"), std::string::npos);
}

TEST_F(MogaAdapterFile, WithDamagedRoutersIsRefused) {
  trained(AdapterNames::kComfyUi);
  const Safetensors file(path());
  const TensorMap good = file.load_all();
  const auto error_with = [&](const std::string& name, const at::Tensor& router) {
    TensorMap tensors = good;
    tensors["diffusion_model." + name] = router;
    save_safetensors(path(), tensors, file.metadata());
    return error_on(test::full_attention(test::small_config()));
  };
  const std::string bias = "blocks.1.self_attn.router.bias", other = "blocks.9.self_attn.router.bias";
  EXPECT_NE(error_with(bias, at::full({3}, NAN)).find(bias + " holds NaN or infinity"), std::string::npos);
  EXPECT_NE(error_with(bias, at::ones({3}, at::kInt)).find(bias + " holds Int"), std::string::npos);
  EXPECT_NE(error_with(other, at::ones({3})).find(other + ": a router of a layer that is not in the model"),
            std::string::npos);
}

TEST_F(MogaAdapterFile, AFileWithoutAttentionIsNoAdapter) {
  save_safetensors(path(), {{"blocks.0.self_attn.q.lora_A.weight", at::ones({2, 32})},
                            {"blocks.0.self_attn.q.lora_B.weight", at::ones({32, 2})}});
  EXPECT_NE(test::error_of([&] { adapter_settings(path()); }).find("is no MoGA adapter"), std::string::npos);
}

TEST_F(MogaAdapterFile, WithoutRoutersItIsALora) {
  Transformer model = test::random_transformer(test::full_attention(test::small_config()));
  train_low_rank(*model, {.rank = 2}, at::kCPU);
  save_moga_adapter(path(), *model, AdapterNames::kDiffusers);
  EXPECT_TRUE(LoraFile(path()).routers().empty());
  EXPECT_EQ(LoraFile(path()).updates().size(), 20u);
  EXPECT_TRUE(Safetensors(path()).contains("transformer.blocks.1.ffn.net.0.proj.lora_A.weight"));
}

TEST(TrainLowRank, FreezesAllButUpdatesAndRouters) {
  Transformer model = test::random_transformer(test::small_config());
  train_low_rank(*model, {.rank = 2, .targets = {"cross_attn", "ffn.0"}}, at::kCPU);
  for (const auto& item : model->named_parameters())
    EXPECT_EQ(item.value().requires_grad(), is_low_rank(item.key()) || is_router(item.key())) << item.key();
  EXPECT_EQ(test::error_of([&] { train_low_rank(*model, {.rank = 2, .targets = {"attn"}}, at::kCPU); }),
            "lora: target 'attn' is no layer of a block; expected some of cross_attn.k, cross_attn.o, cross_attn.q, "
            "cross_attn.v, ffn.0, ffn.2, self_attn.k, self_attn.o, self_attn.q, self_attn.v");
  EXPECT_EQ((LoraConfig{.rank = 4, .alpha = 8}).scale(), 2);
  EXPECT_EQ((LoraConfig{.rank = 4, .alpha = 8, .rank_stabilised = true}).scale(), 4);
}

}  // namespace
}  // namespace moga
