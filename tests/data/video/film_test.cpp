// Films of other rates, shapes and states than a model wants: frames are chosen by time, and damage is counted.
#include "moga/data/video/film.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "moga/core/files.h"
#include "moga/core/random.h"
#include "moga/data/video/video.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

// An MP4 whose frame i has the grey level 8 i.
std::filesystem::path write_steps(const test::Folder& folder, int64_t frames, double fps) {
  const auto path = folder / "steps.mp4";
  const auto writer = make_video_writer(path, 64, 32, fps);
  for (int64_t i = 0; i < frames; ++i) writer->write(at::full({3, 32, 64}, 8 * i, at::kByte));
  writer->finish();
  return path;
}

std::vector<int64_t> frame_numbers(const at::Tensor& frames) {
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < frames.size(0); ++i)
    numbers.push_back(std::llround(frames[i].to(at::kFloat).mean().item<float>() / 8));
  return numbers;
}

TEST(Film, IsRetimedByTheTimesOfItsFrames) {
  const test::Folder folder;
  const auto path = write_steps(folder, 24, 24000.0 / 1001);
  // Frame 3 begins at 0.1251 s and is meant at 0.125 s: times are rounded to a millisecond.
  const auto film = open_film(path, {.width = 64, .height = 32});
  EXPECT_EQ(frame_numbers(sampled(*film, 0, 8, 16)), (std::vector<int64_t>{0, 1, 3, 4, 6, 7, 9, 10}));
  // The same rate gives every frame once, a higher one repeats.
  EXPECT_EQ(frame_numbers(sampled(*film, 5 * 1001.0 / 24000, 3, 24000.0 / 1001)), (std::vector<int64_t>{5, 6, 7}));
  EXPECT_EQ(frame_numbers(sampled(*film, 0, 4, 48000.0 / 1001)), (std::vector<int64_t>{0, 0, 1, 1}));
  EXPECT_NE(test::error_of([&] { sampled(*film, 0.5, 20, 16); }).find("the film ends before"), std::string::npos);
}

TEST(Film, SeeksToTheFrameThatIsShown) {
  const test::Folder folder;
  const auto film = open_film(write_steps(folder, 30, 10), {.width = 64, .height = 32});
  for (const double start : {2.05, 0.3, 1.999, 2.9})
    EXPECT_EQ(frame_numbers(sampled(*film, start, 1, 16))[0], static_cast<int64_t>((start + 1e-3) * 10)) << start;
}

TEST(Film, CountsWhatATruncatedFileLacks) {
  const test::Folder folder;
  const auto path = folder / "noise.mp4";
  const auto writer = make_video_writer(path, 64, 32, 10);
  for (int64_t i = 0; i < 30; ++i)
    writer->write(at::randint(256, {3, 32, 64}, random_stream(1, "noise", i)).to(at::kByte));
  writer->finish();
  std::filesystem::resize_file(path, std::filesystem::file_size(path) * 3 / 4);
  const auto film = open_film(path, {.width = 64, .height = 32});
  int64_t frames = 0;
  while (film->next()) ++frames;
  EXPECT_GT(frames, 0);
  EXPECT_LT(frames, 30);
  EXPECT_TRUE(film->truncated());
}

// A picture of two halves in a y4m with the given header.
std::filesystem::path write_halves(const test::Folder& folder, const std::string& header) {
  const auto path = folder / "halves.mkv";
  const at::Tensor luma = at::cat({at::full({32, 32}, 40), at::full({32, 32}, 200)}, 1).to(at::kByte).contiguous();
  const at::Tensor chroma = at::full({2, 16, 32}, 128, at::kByte);
  std::ofstream out(path, std::ios::binary);
  out << "YUV4MPEG2 W64 H32 F25:1 " << header << " C420mpeg2\n";
  for (int frame = 0; frame < 3; ++frame) {
    out << "FRAME\n";
    out.write(static_cast<const char*>(luma.data_ptr()), luma.numel());
    out.write(static_cast<const char*>(chroma.data_ptr()), chroma.numel());
  }
  return path;
}

TEST(Film, ShowsAnamorphicPixelsSquare) {
  const test::Folder folder;
  const auto path = write_halves(folder, "Ip A2:1");
  const FilmInfo info = film_info(path);
  EXPECT_EQ(info.width, 128);
  EXPECT_EQ(info.height, 32);
  EXPECT_FALSE(info.interlaced);
  // A crop is given in displayed pixels: the right half is bright.
  const auto film = open_film(path, {.width = 32, .height = 16, .crop = {64, 0, 64, 32}});
  ASSERT_TRUE(film->next());
  EXPECT_EQ(film->pixels().sizes(), (at::IntArrayRef{16, 32, 3}));
  EXPECT_GT(film->pixels().slice(1, 2).min().item<int>(), 200);
}

TEST(Film, IsDeinterlacedWithoutLosingFrames) {
  const test::Folder folder;
  const auto path = write_halves(folder, "It A1:1");
  EXPECT_TRUE(film_info(path).interlaced);
  const auto film = open_film(path, {.width = 64, .height = 32, .deinterlace = true});
  int64_t frames = 0;
  while (film->next()) EXPECT_NEAR(film->time(), 0.04 * static_cast<double>(frames++), 1e-6);
  EXPECT_EQ(frames, 3);
}

TEST(Film, ThatIsNoneIsNamed) {
  const test::Folder folder;
  write_text(folder / "notes.mp4", "not a film");
  EXPECT_NE(test::error_of([&] { film_info(folder / "notes.mp4"); }).find("notes.mp4"), std::string::npos);
}

TEST(Film, ThatIsAPipeIsNotWaitedFor) {
  const test::Folder folder;
  ASSERT_EQ(mkfifo((folder / "pipe.mp4").c_str(), 0600), 0);
  const std::string error = test::error_of([&] { film_info(folder / "pipe.mp4"); });
  EXPECT_NE(error.find("is a pipe, expected a file"), std::string::npos) << error;
}

}  // namespace
}  // namespace moga
