// Reads films as people have them: any rate, rotation, pixel aspect, bit depth, colour matrix and range, interlaced or
// HDR, with damaged packets or a missing end. Frames come with their times, cropped and resized to the size asked for.
//
//   film_info(path)      what the file holds, from its headers and first frames
//   open_film(path, …)   its frames in order of time, from any time on, in constant memory
//   read_sampled(film, …)  frames at a constant rate, chosen by their times: a frame is shown until the next one's time
//
// video.h reads videos that must be whole; here damage is counted and reading goes on. Needs FFmpeg.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <filesystem>
#include <memory>
#include <string>

#include "moga/core/choice.h"

namespace moga {

struct FilmInfo {
  int64_t width = 0, height = 0;  // as displayed: turned, with square pixels
  int64_t stored_width = 0, stored_height = 0;
  double pixel_aspect = 1;
  int64_t rotation = 0;  // clockwise degrees for display
  double fps = 0;        // mean rate
  double seconds = 0;    // by the container; 0 if it does not say
  int64_t bits = 8;
  std::string codec, pixel_format, matrix, range, transfer;
  bool interlaced = false, hdr = false;
};
FilmInfo film_info(const std::filesystem::path& path);

enum class Hdr { kRefuse, kToneMap };
template <>
inline constexpr auto kChoices<Hdr> = std::array{
    Choice{Hdr::kRefuse, "refuse", "films in HDR (PQ or HLG) are dropped"},
    Choice{Hdr::kToneMap, "tone_map", "HDR is mapped to BT.709 (Hable)"},
};

enum class Scaler { kArea, kLanczos };  // both antialiased

struct Crop {
  int64_t x = 0, y = 0, width = 0, height = 0;  // of the displayed picture; width 0: all of it
};

struct FilmView {
  int64_t width = 0, height = 0;  // of the frames that are read, as displayed
  Crop crop = {};
  Scaler scaler = Scaler::kLanczos;
  bool deinterlace = false;
  int threads = 0;  // of the decoder; 0: one per core
};

class FilmReader {
 public:
  virtual ~FilmReader() = default;
  // Moves to the next frame; false after the last. Before the first call there is no current frame.
  virtual bool next() = 0;
  virtual double time() const = 0;       // seconds of the current frame, from the start of the stream
  virtual double next_time() const = 0;  // of the frame after it; infinite after the last
  virtual double frame_seconds() const = 0;
  virtual at::Tensor pixels() = 0;  // uint8 [Y, X, 3] of the current frame
  // The next frame is the one shown at `time`, or an earlier one.
  virtual void seek(double time) = 0;
  // Packets and frames left out so far, because they could not be decoded or their time does not advance; and whether
  // the file ended earlier than its index or header says.
  virtual int64_t damaged() const = 0;
  virtual bool truncated() const = 0;
};
std::unique_ptr<FilmReader> open_film(const std::filesystem::path& path, const FilmView& view);

// Fills uint8 [T, 3, Y, X] with the frames shown at start, start + 1/fps, …. Throws when the film ends before that.
// Works on the calling thread alone.
void read_sampled(FilmReader& film, double start, double fps, const at::Tensor& frames);
// The same in new memory.
at::Tensor sampled(FilmReader& film, double start, int64_t count, double fps);

}  // namespace moga
