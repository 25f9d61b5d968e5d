// Videos keep their colours, size, rate and every frame; invalid files give one clear line; memory does not grow.
#include "moga/data/video/video.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

// Smooth colours that drift: uint8 [T, 3, Y, X], frame `begin` on.
at::Tensor drifting(int64_t begin, int64_t frames, int64_t height = 64, int64_t width = 96) {
  const at::Tensor t = at::arange(begin, begin + frames, at::kFloat).view({-1, 1, 1}) * 0.1;
  const at::Tensor y = at::linspace(0, 3, height).view({1, -1, 1}), x = at::linspace(0, 3, width).view({1, 1, -1});
  const at::Tensor red = at::sin(x + t) + 0 * y, green = at::cos(y + t) + 0 * x, blue = at::sin(x + y - t);
  return (at::stack({red, green, blue}, 1) * 100 + 128).to(at::kByte);
}

std::vector<std::string> names() {
#ifdef MOGA_FFMPEG
  return {"a.y4m", "a.mp4"};
#else
  return {"a.y4m"};
#endif
}

void write_video(const std::filesystem::path& path, const at::Tensor& frames, double fps = 16) {
  const auto writer = make_video_writer(path, frames.size(3), frames.size(2), fps);
  for (const at::Tensor& piece : frames.split(4)) writer->write(piece);
  writer->finish();
}

at::Tensor read_video(const std::filesystem::path& path, int64_t piece = 7) {
  const auto reader = open_video(path);
  std::vector<at::Tensor> frames;
  do frames.push_back(reader->read(piece));
  while (frames.back().size(0) > 0);
  return at::cat(frames);
}

// The current resident memory; the peak may be that of another test.
int64_t resident_bytes() {
  int64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(Video, ComesBackWithColoursAndEveryFrame) {
  for (const std::string& name : names()) {
    test::Folder folder;
    const at::Tensor frames = drifting(0, 33);
    write_video(folder / name, frames);
    const VideoInfo info = open_video(folder / name)->info();
    EXPECT_EQ(std::make_tuple(info.width, info.height, info.fps, info.frames), std::make_tuple(96, 64, 16.0, 33));
    const at::Tensor found = read_video(folder / name);
    ASSERT_EQ(found.sizes(), frames.sizes()) << name;
    const at::Tensor gap = (found.to(at::kFloat) - frames.to(at::kFloat)).abs();
    EXPECT_LE(gap.mean().item<double>(), 2.0) << name;
    // A wrong matrix or range shifts whole channels.
    const at::Tensor bias = (found.to(at::kFloat) - frames.to(at::kFloat)).mean({0, 2, 3}).abs();
    EXPECT_LE(bias.max().item<double>(), 0.6) << name << bias;
  }
}

// Readers that do not understand the matrix tag assume BT.709 from 720 lines, BT.601 below.
TEST(Video, Y4mHoldsTheMatrixThatOtherReadersAssume) {
  for (const int64_t height : {64, 720}) {
    test::Folder folder;
    at::Tensor red = at::zeros({1, 3, height, 32}, at::kByte);
    red.select(1, 0).fill_(255);
    write_video(folder / "a.y4m", red);
    const std::string bytes = read_text(folder / "a.y4m");
    const auto luma = static_cast<unsigned char>(bytes[bytes.find("FRAME\n") + 6]);
    EXPECT_EQ(luma, height == 64 ? 81 : 63);  // 16 + 219 Kr
    EXPECT_NE(bytes.find(height == 64 ? "XMATRIX=BT601" : "XMATRIX=BT709"), std::string::npos);
  }
}

TEST(Video, PrimariesSurviveY4mOfOddSize) {
  test::Folder folder;
  at::Tensor frame = at::zeros({1, 3, 31, 35}, at::kByte);
  frame[0][0] = 255;
  write_video(folder / "a.y4m", frame, 24000.0 / 1001);
  EXPECT_LE((read_video(folder / "a.y4m").to(at::kInt) - frame.to(at::kInt)).abs().max().item<int>(), 2);
  EXPECT_NEAR(open_video(folder / "a.y4m")->info().fps, 23.976, 1e-3);
}

TEST(Video, AnUnfinishedFileLeavesNothing) {
  for (const std::string& name : names()) {
    test::Folder folder;
    make_video_writer(folder / name, 96, 64, 16)->write(drifting(0, 3));
    EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << name;
  }
}

TEST(Video, WrongFilesAreNamedInOneLine) {
  for (const std::string& name : names()) {
    test::Folder folder;
    const auto path = folder / name;
    EXPECT_NE(test::error_of([&] { open_video(path); }).find("No such file"), std::string::npos);
    write_text(path, "this is no video\n");
    const std::string message = test::error_of([&] { open_video(path); });
    EXPECT_NE(message.find(name + ": not a"), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
    write_video(path, drifting(0, 33));
    std::filesystem::resize_file(path, std::filesystem::file_size(path) * 2 / 3);
    EXPECT_NE(test::error_of([&] { read_video(path); }).find("truncated"), std::string::npos) << name;
  }
}

TEST(Video, AHeaderOfImpossibleSizeIsRefused) {
  test::Folder folder;
  for (const char* size : {"W4294967296 H4294967296", "W9999999999999999999999 H5", "W-5 H5", "W0 H5"}) {
    write_text(folder / "a.y4m", std::string("YUV4MPEG2 ") + size + " F16:1\nFRAME\n");
    const std::string message = test::error_of([&] { open_video(folder / "a.y4m"); });
    const bool beyond = std::string(size).size() > 24;  // of 64 bits
    EXPECT_NE(message.find(beyond ? "expected a whole number" : "needs width and height"), std::string::npos)
        << message;
  }
}

// Nothing in a y4m header is guessed, or ignored.
TEST(Video, AHeaderIsReadStrictly) {
  test::Folder folder;
  const auto says = [&](const std::string& fields, const std::string& expected) {
    write_text(folder / "a.y4m", "YUV4MPEG2 " + fields + "\n");
    const std::string message = test::error_of([&] { open_video(folder / "a.y4m"); });
    EXPECT_NE(message.find(expected), std::string::npos) << fields << ": " << message;
  };
  says("W4x H2 F25:1", "y4m field W4x: expected a whole number, found '4x'");
  says("W4 H2 F25", "y4m field F25: expected a rate like F25:1");
  says("W4 H2 W8 F25:1", "has the field W twice");
  says("W4 H2 F25:1 C420p10", "y4m colour space C420p10");
  says("W4 H2 F25:1 XCOLORRANGE=full", "expected XCOLORRANGE=FULL or LIMITED");
  says("W4 H2 F25:1 Q7", "y4m field Q7 is unknown");
}

TEST(Video, WrongRequestsAreRefused) {
  test::Folder folder;
  EXPECT_NE(test::error_of([&] { make_video_writer(folder / "a.y4m", 96, 1 << 20, 16); }).find("expected 1 to 16384"),
            std::string::npos);
  std::filesystem::create_directory(folder / "b.y4m");
  EXPECT_NE(test::error_of([&] { make_video_writer(folder / "b.y4m", 96, 64, 16); }).find("is a folder"),
            std::string::npos);
  EXPECT_NE(test::error_of([&] { make_video_writer(folder / "a.avi", 96, 64, 16); }).find("use .mp4 or .y4m"),
            std::string::npos);
  const auto writer = make_video_writer(folder / "a.y4m", 96, 64, 16);
  EXPECT_NE(test::error_of([&] { writer->write(drifting(0, 1, 32, 32)); }).find("expected uint8 [T, 3, 64, 96]"),
            std::string::npos);
}

TEST(Video, WritingHoldsNoFrames) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the address sanitizer keeps freed memory for a while";
#endif
  for (const std::string& name : names()) {
    test::Folder folder;
    const auto writer = make_video_writer(folder / name, 96, 64, 16);
    int64_t early = 0;
    for (int64_t t = 0; t < 1000; ++t) {
      writer->write(drifting(t, 1));
      if (t == 100) early = resident_bytes();
    }
    EXPECT_LE(resident_bytes(), early + (4 << 20)) << name;  // 900 frames are 16 MiB
    writer->finish();
  }
}

TEST(Video, FloatsAndBytesAgree) {
  const at::Tensor bytes = drifting(0, 2);
  EXPECT_TRUE(at::equal(to_uint8(to_float(bytes)), bytes));
  EXPECT_EQ(to_uint8(at::full({3, 1, 2, 2}, 1.7)).max().item<int>(), 255);
}

}  // namespace
}  // namespace moga
