// What a player learns from our MP4 files: codec, pixel format and colour tags, as FFmpeg's own demuxer reads them.
#include "moga/data/video/ffmpeg.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>

#include "moga/core/files.h"
#include "moga/data/video/video.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

TEST(Mp4, IsTaggedAsBt709LimitedRange) {
  test::Folder folder;
  const std::string path = folder / "a.mp4";
  const auto writer = make_video_writer(path, 64, 32, 16);
  writer->write(at::full({5, 3, 32, 64}, 90, at::kByte));
  writer->finish();
  AVFormatContext* container = nullptr;
  ASSERT_EQ(avformat_open_input(&container, path.c_str(), nullptr, nullptr), 0);
  ASSERT_GE(avformat_find_stream_info(container, nullptr), 0);
  const AVCodecParameters& stream = *container->streams[0]->codecpar;
  EXPECT_EQ(stream.codec_id, AV_CODEC_ID_H264);
  EXPECT_EQ(stream.format, AV_PIX_FMT_YUV420P);
  EXPECT_EQ(stream.color_range, AVCOL_RANGE_MPEG);
  EXPECT_EQ(stream.color_space, AVCOL_SPC_BT709);
  EXPECT_EQ(stream.color_primaries, AVCOL_PRI_BT709);
  EXPECT_EQ(stream.color_trc, AVCOL_TRC_BT709);
  EXPECT_EQ(container->streams[0]->nb_frames, 5);
  avformat_close_input(&container);
}

// swscale and our own arithmetic, on a file that names its range but not its matrix (BT.601 at this height).
TEST(FfmpegReader, AgreesWithOurArithmeticInBothRanges) {
  for (const char* range : {"FULL", "LIMITED"}) {
    test::Folder folder;
    const at::Tensor ramp = at::linspace(30, 220, 64).view({1, 64}).expand({32, 64});
    const at::Tensor planes = at::cat({ramp, ramp.flip(1) * 0.5 + 60, ramp * 0.3 + 90}).to(at::kByte).contiguous();
    for (const char* name : {"a.y4m", "a.mkv"}) {
      std::ofstream out(folder / name, std::ios::binary);
      out << "YUV4MPEG2 W64 H32 F16:1 Ip A1:1 C444 XCOLORRANGE=" << range << "\nFRAME\n";
      out.write(static_cast<const char*>(planes.data_ptr()), planes.numel());
    }
    const at::Tensor ours = open_video(folder / "a.y4m")->read(2), theirs = open_video(folder / "a.mkv")->read(2);
    ASSERT_EQ(theirs.sizes(), (at::IntArrayRef{1, 3, 32, 64}));
    EXPECT_LE((ours.to(at::kInt) - theirs.to(at::kInt)).abs().max().item<int>(), 2) << range;
  }
}

// Rotates the picture of an MP4 by writing its display matrix, the nine numbers behind the track header's fixed fields.
void turn(const std::filesystem::path& path, const std::array<int32_t, 4>& abcd) {
  std::string bytes = read_text(path);
  const size_t matrix = bytes.find("tkhd") + 4 + 40;
  const std::array<int32_t, 9> values{abcd[0], abcd[1], 0, abcd[2], abcd[3], 0, 0, 0, 1 << 30};
  for (size_t i = 0; i < values.size(); ++i)
    for (int byte = 0; byte < 4; ++byte) bytes[matrix + 4 * i + byte] = static_cast<char>(values[i] >> (24 - 8 * byte));
  write_text(path, bytes);
}

TEST(FfmpegReader, AppliesTheRotation) {
  test::Folder folder;
  at::Tensor frame = at::zeros({1, 3, 32, 64}, at::kByte);
  frame.slice(2, 0, 16).slice(3, 0, 32).fill_(250);  // the upper left quarter
  const auto writer = make_video_writer(folder / "a.mp4", 64, 32, 16);
  writer->write(frame);
  writer->finish();
  constexpr int32_t kOne = 1 << 16;
  turn(folder / "a.mp4", {0, kOne, -kOne, 0});  // a phone held upright: turned clockwise for display
  const auto reader = open_video(folder / "a.mp4");
  EXPECT_EQ(reader->info().width, 32);
  const at::Tensor shown = reader->read(1)[0].to(at::kFloat);
  ASSERT_EQ(shown.sizes(), (at::IntArrayRef{3, 64, 32}));
  EXPECT_GT(shown.slice(1, 0, 32).slice(2, 16).mean().item<float>(), 200);  // the upper right quarter
  EXPECT_LT(shown.slice(1, 32).mean().item<float>(), 40);
  turn(folder / "a.mp4", {-kOne, 0, 0, -kOne});
  EXPECT_GT(open_video(folder / "a.mp4")->read(1)[0].slice(1, 16).slice(2, 32).to(at::kFloat).mean().item<float>(),
            200);
}

TEST(FfmpegReader, FollowsNoPlaylist) {
  test::Folder folder;
  const auto writer = make_video_writer(folder / "secret.mp4", 64, 32, 16);
  writer->write(at::zeros({2, 3, 32, 64}, at::kByte));
  writer->finish();
  const std::string file = (folder / "secret.mp4").string();
  for (const std::string& text : {"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n" + file + "\n#EXT-X-ENDLIST\n",
                                  "ffconcat version 1.0\nfile '" + file + "'\n"}) {
    write_text(folder / "list.mp4", text);
    EXPECT_NE(test::error_of([&] { open_video(folder / "list.mp4"); }).find("playlists and lists of files are not"),
              std::string::npos)
        << test::error_of([&] { open_video(folder / "list.mp4"); });
  }
}

TEST(Mp4, SaysWhatItWasMadeFrom) {
  test::Folder folder;
  const MediaTags tags{"Mara é", "title = \"Mara\"\n[[shot]]\n", "moga 1"};
  const auto writer = make_video_writer(folder / "a.mp4", 64, 32, 16, tags);
  writer->write(at::zeros({2, 3, 32, 64}, at::kByte));
  writer->finish();
  const MediaTags found = open_video(folder / "a.mp4")->info().tags;
  EXPECT_EQ(found.title, tags.title);
  EXPECT_EQ(found.comment, tags.comment);
  EXPECT_EQ(found.tool, tags.tool);
}

TEST(Mp4, HasItsIndexInFront) {
  test::Folder folder;
  const auto writer = make_video_writer(folder / "a.mp4", 64, 32, 16);
  writer->write(at::zeros({5, 3, 32, 64}, at::kByte));
  writer->finish();
  std::ifstream in(folder / "a.mp4", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  EXPECT_LT(bytes.find("moov"), bytes.find("mdat"));
}

}  // namespace
}  // namespace moga
