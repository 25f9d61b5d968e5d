// Pictures used while drawing a story, and the loops over their pixels: sampling a layer as the camera sees it, putting
// one layer over another, converting to bytes. Plain loops that the compiler vectorises. Knows nothing about shapes and
// places.
//
// A picture is float [C, Y, X] with values in [0, 1]: 3 channels (opaque) or 4 (colour times coverage, coverage).
#pragma once

#include <cstdint>
#include <vector>

// Compiled twice and selected at run time: vectors of 8 floats take 16 ms per story, the 4 that every x86-64 has
// take 23. Both perform the same operations in the same order, so the pixels are bit-identical.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define MOGA_WIDE_VECTORS __attribute__((target_clones("avx2", "default")))
#else
#define MOGA_WIDE_VECTORS
#endif

namespace moga {

constexpr int64_t kPixelsAtOnce = 8;  // rows are padded to a multiple of this

struct Picture {
  int64_t channels = 0, height = 0, width = 0, stride = 0;  // stride: elements from one row to the next
  std::vector<float> values;

  Picture() = default;
  Picture(int64_t channels, int64_t height, int64_t width);  // zeros
  float* row(int64_t channel, int64_t y) { return values.data() + (channel * height + y) * stride; }
  const float* row(int64_t channel, int64_t y) const { return values.data() + (channel * height + y) * stride; }
};

// Positions along one axis of a picture: output pixel i is at start + step · i, in pixels of the picture.
struct Positions {
  double start = 0, step = 1;
};

// The number of pixels on either side that a Gaussian blur of `sigma` pixels covers.
int64_t blur_reach(float sigma);

// Columns [first, last) of a picture with 4 channels, with its rows sampled bilinearly at `rows`, blurred in both
// directions by a Gaussian of `sigma` pixels: [4, Y, last − first]. Edge pixels are repeated beyond the edges.
Picture sampled_rows(const Picture& picture, const Positions& rows, int64_t first, int64_t last, float sigma);

// A picture with 4 channels, and which of its columns are not empty.
struct Sheet {
  struct Span {
    int64_t begin, end;  // columns with coverage
  };
  Picture picture;
  std::vector<Span> spans;  // [Y]

  Sheet() = default;
  explicit Sheet(Picture picture);
};

// Draws a sheet over a picture with the same number of rows, sampling its columns bilinearly at `columns`, which must
// be within it.
void put_over(Picture& picture, const Sheet& sheet, const Positions& columns);

// Converts an opaque picture to uint8 [3, Y, X], rounded.
void to_bytes(const Picture& picture, uint8_t* bytes);

}  // namespace moga
