// Differences between files of tensors and between videos, and files that cannot be compared.
#include "moga/pipeline/compare.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "moga/core/safetensors.h"
#include "moga/data/video/video.h"
#include "moga/pipeline/export.h"
#include "tests/pipeline/tiny_folder.h"
#include "tests/support/error.h"

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
            "2 compared, 1 equal bit for bit; largest relative error 1.000e-01 in x\n");
}

TEST(Compare, AnErrorAboveTheToleranceIsOne) {
  const std::vector<FileDifference> differences{{.name = "x", .relative = 0, .largest = 0, .same = true},
                                                {.name = "y", .relative = 0.1, .largest = 1}};
  EXPECT_EQ(test::error_of([&] { check_difference(differences, 0.2); }), "");
  EXPECT_EQ(test::error_of([&] { check_difference(differences, 0); }), "y differs: relative error 0.1, tolerance 0");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(test::error_of([&] { check_difference({{.name = "z", .relative = nan, .largest = nan}}, 9); }),
            "z differs: relative error nan, tolerance 9");
  const std::string name(100, 'n');  // too long for a string without memory of its own
  EXPECT_EQ(test::error_of([&] { check_difference({{.name = name, .relative = 2, .largest = 1}}, 1); }),
            name + " differs: relative error 2, tolerance 1");
  EXPECT_EQ(test::error_of([] { check_difference({}, 0); }), "");
}

TEST(Compare, TheTableIsShortAndTheLargestComesFirst) {
  std::vector<FileDifference> differences;
  for (int i = 1; i <= 30; ++i)
    differences.push_back({.name = "t" + std::to_string(i), .relative = 0.1 * i, .largest = 1});
  const std::string table = difference_table(differences);
  EXPECT_EQ(table.find("t30  relative error"), 0u);
  EXPECT_NE(table.find("... and 10 that differ less\n30 compared, 0 equal bit for bit; largest"), std::string::npos);
  EXPECT_NE(difference_json(differences).find("\"relative_error\": 3.0"), std::string::npos);
}

TEST(Compare, ModelsPartByPart) {
  const test::Folder folder;
  for (const char* model : {"a", "b"})
    for (const char* part : {"transformer", "vae"})
      save_safetensors(folder / model / part / "w.safetensors", {{"x", at::ones({2})}});
  const auto differences = compare_files(folder / "a", folder / "b");
  ASSERT_EQ(differences.size(), 2u);
  EXPECT_EQ(differences[1].name, "vae/x");
  std::filesystem::remove_all(folder / "b" / "vae");
  EXPECT_NE(test::error_of([&] { compare_files(folder / "a", folder / "b"); }).find("b has no vae"), std::string::npos);
}

TEST(Compare, AModelEqualsItsExportUnderOtherNames) {
  const test::Folder folder;
  export_model_folder(test::tiny_folder(), folder / "a", {.layout = WeightLayout::kDiffusers});
  export_model_folder(test::tiny_folder(), folder / "b", {.layout = WeightLayout::kWan});
  const auto differences = compare_files(folder / "a", folder / "b");
  EXPECT_GT(differences.size(), 100u);
  for (const FileDifference& row : differences) EXPECT_TRUE(row.same) << row.name;
  TensorMap tensors = Safetensors(folder / "b" / "vae").load_all();
  tensors.emplace("extra", at::ones({2}));
  save_safetensors(folder / "b" / "vae" / "diffusion_pytorch_model.safetensors", tensors);
  EXPECT_NE(test::error_of([&] { compare_files(folder / "a", folder / "b"); }).find("has a tensor \"extra\", "),
            std::string::npos);
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
  const auto path = [&](const char* name) { return (folder / name).string(); };
  const std::string a = path("a.y4m"), b = path("b.y4m"), none = path("none.y4m");
  const std::string x = path("x.safetensors"), y = path("y.safetensors"), z = path("z.safetensors");
  const auto error = [](const std::string& actual, const std::string& expected) {
    return test::error_of([&] { compare_files(actual, expected); });
  };
  EXPECT_EQ(error(a, b), a + " and " + b + " have different numbers of frames: 3 and 4 or more");
  EXPECT_EQ(error(a, x), a + " and " + x + ": expected two safetensors or two videos");
  EXPECT_EQ(error(a, none), none + ": no such file or folder");
  EXPECT_EQ(error(x, y), "x is [2] in " + x + " and [3] in " + y);
  EXPECT_EQ(error(x, z), x + " has a tensor \"x\", " + z + " has none");
}

}  // namespace
}  // namespace moga
