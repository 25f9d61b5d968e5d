// Differences of files: of tensors and of videos, and what cannot be compared.
#include "moga/pipeline/compare.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/check.h"
#include "moga/core/safetensors.h"
#include "moga/data/video/video.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

void write_video(const std::filesystem::path& path, int64_t frames, int64_t value) {
  const auto writer = make_video_writer(path, 16, 16, 8);
  writer->write(at::full({frames, 3, 16, 16}, value, at::kByte));
  writer->finish();
}

TEST(Compare, TensorsByRelativeError) {
  const test::Folder folder;
  const at::Tensor x = at::tensor({3.0f, 4.0f});
  save_safetensors(folder / "a.safetensors", {{"x", x + at::tensor({0.0f, 0.5f})}, {"y", x}});
  save_safetensors(folder / "b.safetensors", {{"x", x}, {"y", x}});
  const auto differences = compare_files(folder / "a.safetensors", folder / "b.safetensors");
  ASSERT_EQ(differences.size(), 2u);
  EXPECT_DOUBLE_EQ(differences[0].relative, 0.1);
  EXPECT_DOUBLE_EQ(differences[0].largest, 0.5);
  EXPECT_TRUE(differences[1].same);
  EXPECT_EQ(difference_table(differences),
            "x  relative error 1.000e-01, largest 5.000e-01\n"
            "y  relative error 0.000e+00, largest 0.000e+00, equal bit for bit\n");
}

TEST(Compare, VideosByPsnr) {
  const test::Folder folder;
  write_video(folder / "a.y4m", 20, 128);
  write_video(folder / "b.y4m", 20, 100);
  const FileDifference difference = compare_files(folder / "a.y4m", folder / "b.y4m")[0];
  EXPECT_NEAR(difference.psnr, 20 * std::log10(255.0 / 28.0), 0.5);  // .y4m rounds colours
  EXPECT_TRUE(compare_files(folder / "a.y4m", folder / "a.y4m")[0].same);
}

TEST(Compare, SaysWhatDoesNotMatch) {
  const test::Folder folder;
  write_video(folder / "a.y4m", 3, 0);
  write_video(folder / "b.y4m", 4, 0);
  save_safetensors(folder / "x.safetensors", {{"x", at::zeros({2})}});
  save_safetensors(folder / "y.safetensors", {{"x", at::zeros({3})}});
  save_safetensors(folder / "z.safetensors", {{"z", at::zeros({2})}});
  for (const auto& [a, b] : {std::pair{"a.y4m", "b.y4m"},
                             {"a.y4m", "x.safetensors"},
                             {"a.y4m", "none.y4m"},
                             {"x.safetensors", "y.safetensors"},
                             {"x.safetensors", "z.safetensors"}})
    EXPECT_THROW(compare_files(folder / a, folder / b), Error) << a << " " << b;
}

}  // namespace
}  // namespace moga
