// Rules across the settings of `moga prepare videos`. See config.h.
#include "moga/data/films/config.h"

#include <algorithm>

#include "moga/core/check.h"
#include "moga/data/films/buckets.h"

namespace moga {

void ProbeConfig::validate() const {
  check(least_seconds >= 0, "least_seconds is ", least_seconds, ", expected at least 0");
  check(least_side >= 1, "least_side is ", least_side, ", expected at least 1");
}

void MergeConfig::validate() const {
  check(min_seconds >= 0, "min_seconds is ", min_seconds, ", expected at least 0");
  check(max_seconds >= min_seconds, "max_seconds is ", max_seconds, ", expected at least min_seconds, ", min_seconds);
  check(min_shot_seconds >= 0, "min_shot_seconds is ", min_shot_seconds, ", expected at least 0");
  check(multiple >= 0 && multiple % 2 == 0, "multiple is ", multiple, ", expected an even number, or 0");
  check(area >= std::max(int64_t{4}, multiple * multiple), "area is ", area, ", expected at least ",
        std::max(int64_t{4}, multiple * multiple));
  check(!aspects.empty(), "aspects is empty, expected ratios as \"16:9\"");
  check(max_upscale > 0, "max_upscale is ", max_upscale, ", expected more than 0");
  check(max_crop >= 0 && max_crop < 1, "max_crop is ", max_crop, ", expected 0 to below 1");
  make_buckets(*this);
}

void FilmEncodeConfig::validate() const {
  check(text_encoder.empty() || !tokenizer.empty(), "text_encoder needs tokenizer, its sentencepiece model");
  check(text_len > 0, "text_len is ", text_len, ", expected at least 1");
  check(samples_a_shard > 0, "samples_a_shard is ", samples_a_shard, ", expected more than 0");
  check(held_out >= 0, "held_out is ", held_out, ", expected at least 0");
  check(readers >= 0 && readers <= 64, "readers is ", readers, ", expected 0 to 64");
}

void ReportConfig::validate() const {
  check(thumbnail_width >= 16 && thumbnail_width <= 640, "thumbnail_width is ", thumbnail_width,
        ", expected 16 to 640");
  check(quality >= 1 && quality <= 100, "quality is ", quality, ", expected 1 to 100");
}

void FilmsConfig::validate() const { check(fps > 0 && fps <= 240, "fps is ", fps, ", expected above 0 and up to 240"); }

}  // namespace moga
