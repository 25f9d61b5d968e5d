// Pictures of a story while it is drawn, and the loops over their pixels: a layer as the camera sees it, one layer over
// another, bytes. Plain loops that the compiler turns into vector instructions; knows nothing of shapes and places.
//
// A picture is float [C, Y, X], values in [0, 1]: 3 channels (opaque) or 4 (colour times coverage, coverage).
#pragma once

#include <cstdint>
#include <vector>

// Compiled twice, the processor chooses: vectors of 8 take 16 ms a story where the 4 that every x86-64 has take 23.
// The same operations in the same order: the same pixels to the bit.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define MOGA_WIDE_VECTORS __attribute__((target_clones("avx2", "default")))
#else
#define MOGA_WIDE_VECTORS
#endif

namespace moga {

constexpr int64_t kPixelsAtOnce = 8;  // rows are padded to a multiple of these

struct Picture {
  int64_t channels = 0, height = 0, width = 0, stride = 0;  // stride: of a row
  std::vector<float> values;

  Picture() = default;
  Picture(int64_t channels, int64_t height, int64_t width);  // zeros
  float* row(int64_t channel, int64_t y) { return values.data() + (channel * height + y) * stride; }
  const float* row(int64_t channel, int64_t y) const { return values.data() + (channel * height + y) * stride; }
};

// Positions along one axis of a picture: output pixel i lies at start + step · i, in pixels of the picture.
struct Positions {
  double start = 0, step = 1;
};

// How many pixels a blur by a Gaussian of `sigma` pixels takes in on either side.
int64_t blur_reach(float sigma);

// The columns [first, last) of a picture with 4 channels, its rows sampled bilinearly at `rows` and blurred both ways
// by a Gaussian of `sigma` pixels: [4, Y, last − first]. Beyond its edges a picture is as at its edges.
Picture sampled_rows(const Picture& picture, const Positions& rows, int64_t first, int64_t last, float sigma);

// A picture with 4 channels that knows where it is not empty.
struct Sheet {
  struct Span {
    int64_t begin, end;  // columns with coverage
  };
  Picture picture;
  std::vector<Span> spans;  // [Y]

  Sheet() = default;
  explicit Sheet(Picture picture);
};

// Puts a sheet over a picture with as many rows, its columns sampled bilinearly at `columns`, which lie within it.
void put_over(Picture& picture, const Sheet& sheet, const Positions& columns);

// An opaque picture → uint8 [3, Y, X], rounded.
void to_bytes(const Picture& picture, uint8_t* bytes);

}  // namespace moga
