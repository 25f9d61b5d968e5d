// The feed-forward layer in chunks of rows against the same at once.
#include "moga/model/layers/linear.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/compare.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

Mlp random_mlp(int64_t width, int64_t hidden, Activation activation = Activation::kGeluTanh) {
  Mlp mlp(width, hidden, width, activation);
  for (Linear* product : {&mlp->first, &mlp->second}) {
    (*product)->fill_xavier();
    const at::NoGradGuard no_grad;
    (*product)->bias.normal_();
  }
  return mlp;
}

TEST(Mlp, ChunksOfRowsGiveWhatAllRowsGive) {
  const at::NoGradGuard no_grad;
  for (const Activation activation : {Activation::kGeluTanh, Activation::kSilu}) {
    Mlp mlp = random_mlp(8, 24, activation);
    mlp->to(at::kDouble);
    const at::Tensor x = at::randn({29, 8}, at::kDouble), whole = mlp(x);
    for (const int64_t rows : {1, 7, 28, 29}) {
      mlp->hidden_bytes = rows * 24 * 8;
      EXPECT_TRUE(test::close(mlp(x), whole, 1e-14)) << rows;
    }
  }
}

TEST(Mlp, GradientsTakeAllRowsAtOnce) {
  Mlp mlp = random_mlp(8, 24);
  mlp->hidden_bytes = 1;
  const at::Tensor y = mlp(at::randn({29, 8}));
  y.sum().backward();
  EXPECT_TRUE(mlp->first->weight.grad().defined());
}

TEST(MlpGpu, ChunksOfRowsGiveWhatAllRowsGive) {
  MOGA_NEEDS_GPU();
  const at::NoGradGuard no_grad;
  Mlp mlp = random_mlp(256, 1024);
  mlp->to(at::kCUDA, at::kBFloat16);
  const at::Tensor x = at::randn({8192, 256}).to(at::kCUDA, at::kBFloat16), whole = mlp(x);
  mlp->hidden_bytes = 4096 * 1024 * 2;
  EXPECT_TRUE(test::close(mlp(x).to(at::kFloat), whole.to(at::kFloat), 1e-3));
}

void to_8_bit_products(Mlp& mlp) {
  for (Linear* product : {&mlp->first, &mlp->second}) {
    const Scaled8Bit weight = to_8_bits((*product)->weight.to(at::kFloat));
    (*product)->store_in_8_bits({});
    (*product)->to(at::kCUDA);
    (*product)->weight.copy_(weight.values);
    (*product)->weight_scale.copy_(weight.scale);
    (*product)->multiply_8_bits = true;
  }
}

TEST(MlpGpu, EightBitProductsAreWithinTheRoundingOfEightBits) {
  MOGA_NEEDS_GPU();
  const at::NoGradGuard no_grad;
  Mlp exact = random_mlp(256, 1024), mlp = random_mlp(256, 1024);
  exact->to(at::kCUDA, at::kDouble);
  mlp->to(at::kCUDA, at::kBFloat16);
  to_8_bit_products(mlp);
  for (const auto& [to, from] : {std::pair{exact->first, mlp->first}, {exact->second, mlp->second}}) {
    to->weight.copy_(from->base_in(at::kBFloat16));
    to->bias.copy_(from->bias);
  }
  const at::Tensor x = at::randn({8192, 256}).to(at::kCUDA, at::kBFloat16), expected = exact(x.to(at::kDouble));
  EXPECT_TRUE(test::close(mlp(x).to(at::kDouble), expected, 0.05));    // the inputs' 3 bits of mantissa
  EXPECT_FALSE(test::close(mlp(x).to(at::kDouble), expected, 0.005));  // 8 bits were used
  mlp->hidden_bytes = 3000 * 1024 * 2;
  EXPECT_TRUE(test::close(mlp(x).to(at::kDouble), expected, 0.05));
}

}  // namespace
}  // namespace moga
