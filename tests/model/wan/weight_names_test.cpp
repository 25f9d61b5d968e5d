// Parameter names of Wan2.1 and diffusers map onto each other.
#include "moga/model/wan/weight_names.h"

#include <gtest/gtest.h>

#include "tests/model/wan/transformer_cases.h"
#include "tests/support/error.h"

namespace moga {
namespace {

TEST(WeightNames, RelateBothLayouts) {
  EXPECT_EQ(diffusers_name("blocks.11.self_attn.q.weight"), "blocks.11.attn1.to_q.weight");
  EXPECT_EQ(diffusers_name("blocks.0.norm3.bias"), "blocks.0.norm2.bias");
  EXPECT_EQ(diffusers_name("head.modulation"), "scale_shift_table");
  EXPECT_EQ(wan_name("blocks.7.scale_shift_table"), "blocks.7.modulation");
  EXPECT_EQ(wan_name("condition_embedder.time_proj.bias"), "time_projection.1.bias");
}

TEST(WeightNames, EveryParameterGoesThereAndBack) {
  const Transformer model(test::small_config());
  for (const std::string& name : model->named_parameters().keys()) {
    const auto other = diffusers_name(name);
    ASSERT_TRUE(other.has_value()) << name;
    EXPECT_EQ(wan_name(*other), name);
  }
}

TEST(WeightNames, UnknownNamesAreToldApart) {
  EXPECT_EQ(diffusers_name("blocks.0.cross_attn.k_audio.weight"), std::nullopt);
  EXPECT_EQ(wan_name("vae.encoder"), std::nullopt);
  EXPECT_EQ(detect_layout({"patch_embedding.weight", "time_projection.1.weight"}, "file"), WeightLayout::kWan);
  EXPECT_EQ(detect_layout({"condition_embedder.time_proj.weight"}, "file"), WeightLayout::kDiffusers);
  EXPECT_EQ(test::error_of([] { detect_layout({"patch_embedding.weight"}, "file"); }),
            "file: no transformer weights: neither Wan2.1's names (time_projection.1.weight) nor diffusers' "
            "(condition_embedder.time_proj.weight) among 1 tensors");
}

}  // namespace
}  // namespace moga
