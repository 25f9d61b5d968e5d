// What a player learns from our MP4 files: codec, pixel format and colour tags, as FFmpeg's own demuxer reads them.
#include "moga/data/video/ffmpeg.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>

#include "moga/data/video/video.h"
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
