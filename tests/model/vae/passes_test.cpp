// What the VAE does between its convolutions: growing frames, attention of an image, norms that keep their last frames.
// On a GPU each against ATen's operations, into memory that was full of NaN.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "moga/model/vae/image_attention.h"
#include "moga/model/vae/layers.h"
#include "moga/model/vae/nearest_upsample.h"
#include "tests/support/compare.h"
#include "tests/support/gpu.h"

namespace moga {
namespace {

constexpr auto kVideo = at::MemoryFormat::ChannelsLast3d;

// The allocator reuses this memory for the next tensors of its size, so elements that are never written stay NaN.
void poison(int64_t elements) {
  for (const at::ScalarType dtype : {at::kBFloat16, at::kFloat})
    at::full({elements}, NAN, at::TensorOptions(at::kCUDA).dtype(dtype));
}

// By its definition: output frame t·parts + p, row r, column c is channels p·C … of frame t, row r/2, column c/2.
at::Tensor enlarged_by_index(const at::Tensor& x, int64_t parts) {
  std::vector<at::Tensor> frames;
  for (int64_t t = 0; t < x.size(2); ++t)
    for (const at::Tensor& part : x.select(2, t).chunk(parts, 1))
      frames.push_back(part.repeat_interleave(2, 2).repeat_interleave(2, 3));
  return at::stack(frames, 2);
}

at::Tensor attention_by_definition(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return at::softmax(q.matmul(k.transpose(1, 2)) / std::sqrt(double(q.size(2))), -1).matmul(v);
}

TEST(NearestUpsample, EqualsItsDefinition) {
  for (const int64_t parts : {1, 2, 3}) {
    const at::Tensor x = at::randn({2, 4 * parts, 3, 5, 7}).contiguous(kVideo);
    EXPECT_TRUE(at::equal(nearest_upsample(x, parts), enlarged_by_index(x, parts))) << parts;
  }
}

TEST(NearestUpsample, OfNoFramesIsNone) {
  EXPECT_EQ(parted_frames(at::zeros({1, 8, 0, 5, 7}), 2).sizes(), at::IntArrayRef({1, 4, 0, 5, 7}));
}

TEST(ImageAttention, EqualsItsDefinition) {
  const auto parts = at::randn({2, 35, 3 * 24}, at::kDouble).chunk(3, -1);
  EXPECT_TRUE(test::close(image_attention(parts[0], parts[1], parts[2]),
                          attention_by_definition(parts[0], parts[1], parts[2]), 1e-12));
}

TEST(VaePassesGpu, UpsampleEqualsItsDefinition) {
  MOGA_NEEDS_GPU();
  const at::NoGradGuard no_grad;
  for (const int64_t parts : {1, 2})
    for (const auto& [channels, columns] : {std::pair{8, 1}, {24, 7}, {192, 53}, {384, 104}}) {
      const at::Tensor x =
          at::randn({2, parts * channels, 3, 5, columns}).to(at::kCUDA, at::kBFloat16).contiguous(kVideo);
      poison(4 * x.numel());
      const at::Tensor y = nearest_upsample(x, parts);
      EXPECT_TRUE(at::equal(y, enlarged_by_index(x, parts))) << parts << " parts of " << channels << " channels";
      EXPECT_TRUE(y.is_contiguous(kVideo));
    }
}

TEST(VaePassesGpu, UpsampleTakesWhatItsKernelDoesNot) {
  MOGA_NEEDS_GPU();
  const at::NoGradGuard no_grad;
  const at::Tensor odd = at::randn({2, 12, 3, 5, 7}).to(at::kCUDA, at::kBFloat16);  // channels not a multiple of 8
  for (const at::Tensor& x : {odd, odd.contiguous(kVideo), odd.to(at::kFloat)})
    EXPECT_TRUE(at::equal(nearest_upsample(x, 2), enlarged_by_index(x, 2)));
}

// Queries three times as long as keys: scores that matter, where rounding them would show.
void expect_attention(int64_t images, int64_t pixels, int64_t channels) {
  const at::Tensor qkv = at::randn({images, pixels, 3 * channels});
  qkv.narrow(2, 0, channels).mul_(3);
  const at::Tensor narrow = qkv.to(at::kBFloat16);
  const auto run = [&](c10::Device device, at::ScalarType dtype) {
    const auto parts = narrow.to(device, dtype).chunk(3, -1);
    if (device.is_cuda()) poison(images * pixels * channels), poison(pixels * pixels);
    return image_attention(parts[0], parts[1], parts[2]).cpu();
  };
  EXPECT_TRUE(test::as_good_as(run(at::kCUDA, at::kBFloat16), run(at::kCPU, at::kBFloat16), run(at::kCPU, at::kDouble)))
      << pixels << " pixels of " << channels << " channels";
}

TEST(VaePassesGpu, AttentionIsAsGoodAsPlain) {
  MOGA_NEEDS_GPU();
  const at::NoGradGuard no_grad;
  expect_attention(1, 1, 64);
  expect_attention(3, 77, 16);
  expect_attention(2, 1560, 384);
  expect_attention(1, 8209, 64);  // two slices of query rows, the second a short one
}

TEST(VaePassesGpu, NormsKeepTheirLastFrames) {
  MOGA_NEEDS_GPU();
  const at::NoGradGuard no_grad;
  for (const int64_t channels : {8, 96, 192, 264, 384, 1024}) {
    ChannelNorm norm(channels);
    norm->to(at::kCUDA, at::kBFloat16);
    const at::Tensor x = at::randn({2, channels, 4, 7, 11}).to(at::kCUDA, at::kBFloat16).contiguous(kVideo);
    const at::Tensor extended = at::full({2, channels, 6, 7, 11}, NAN, x.options()).contiguous(kVideo);
    const at::Tensor kept = at::full({2, channels, 2, 7, 11}, NAN, x.options()).contiguous(kVideo);
    norm->write_silu(x, extended.narrow(2, 2, 4), kept);
    EXPECT_TRUE(at::equal(extended.narrow(2, 2, 4), norm->with_silu(x))) << channels;
    EXPECT_TRUE(at::equal(kept, extended.narrow(2, 4, 2))) << channels;
    EXPECT_TRUE(extended.narrow(2, 0, 2).isnan().all().item<bool>()) << channels;
  }
}

}  // namespace
}  // namespace moga
