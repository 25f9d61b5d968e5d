// See batches.h.
#include "moga/train/video/batches.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "moga/core/check.h"
#include "moga/core/random.h"

namespace moga {
namespace {

// Ends of parts that have at most `most` each, filled from the front; each later part gets an item at least.
std::vector<int64_t> filled(const std::vector<int64_t>& sizes, int64_t parts, int64_t most) {
  const auto items = static_cast<int64_t>(sizes.size());
  std::vector<int64_t> ends;
  int64_t sum = 0;
  for (int64_t i = 0; i < items; ++i) {
    const bool rest_is_needed = items - i < parts - static_cast<int64_t>(ends.size());
    if (i > 0 && (sum + sizes[i] > most || rest_is_needed)) {
      ends.push_back(i);
      sum = 0;
    }
    sum += sizes[i];
  }
  ends.push_back(items);
  return ends;
}

}  // namespace

std::vector<int64_t> even_parts(const std::vector<int64_t>& sizes, int64_t parts) {
  const auto items = static_cast<int64_t>(sizes.size());
  check(parts > 0 && items >= parts, items, " items were to be cut into ", parts, " parts");
  int64_t low = *std::ranges::max_element(sizes), high = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  while (low < high) {  // the smallest `most` with which the parts suffice
    const int64_t middle = low + (high - low) / 2;
    if (static_cast<int64_t>(filled(sizes, parts, middle).size()) <= parts)
      high = middle;
    else
      low = middle + 1;
  }
  return filled(sizes, parts, low);
}

DataOrder::DataOrder(uint64_t seed, std::string purpose, int64_t size)
    : seed_(seed), purpose_(std::move(purpose)), size_(size) {}

int64_t DataOrder::at(int64_t position) {
  const int64_t epoch = position / size_;
  if (epoch != epoch_) {
    const at::Tensor order = at::randperm(size_, random_stream(seed_, purpose_, epoch), at::TensorOptions(at::kLong));
    permutation_.assign(order.const_data_ptr<int64_t>(), order.const_data_ptr<int64_t>() + size_);
    epoch_ = epoch;
  }
  return permutation_[position % size_];
}

StageBatches::StageBatches(DataOrder order, const BatchRule& rule, std::vector<int64_t> tokens)
    : order_(std::move(order)), rule_(rule), tokens_(std::move(tokens)) {}

OwnBatch StageBatches::at(int64_t step) { return rule_.tokens > 0 ? by_tokens(step) : by_count(step); }

OwnBatch StageBatches::by_count(int64_t step) {
  const int64_t own = rule_.videos / rule_.data_ranks, piece = rule_.videos / rule_.pieces;
  OwnBatch batch = {.videos = rule_.videos, .first = rule_.data_rank * own, .pieces = {}};
  const int64_t end = batch.first + own;
  for (int64_t first = batch.first; first < end; first += piece) {
    std::vector<int64_t>& videos = batch.pieces.emplace_back();
    for (int64_t i = first; i < std::min(end, first + piece); ++i) videos.push_back(order_.at(step * rule_.videos + i));
  }
  return batch;
}

// Position in the order of the first video of the batch.
int64_t StageBatches::start_of(int64_t step) {
  while (static_cast<int64_t>(starts_.size()) <= step) {
    int64_t position = starts_.back(), sum = 0;
    while (true) {
      sum += tokens_[order_.at(position)];
      if (sum > rule_.tokens) break;
      ++position;
    }
    check(position > starts_.back(), "a video has more than the ", rule_.tokens, " tokens of a batch");
    starts_.push_back(position);
  }
  return starts_[step];
}

OwnBatch StageBatches::by_tokens(int64_t step) {
  const int64_t start = start_of(step);
  OwnBatch batch = {.videos = start_of(step + 1) - start, .first = 0, .pieces = {}};
  std::vector<int64_t> videos, sizes;
  for (int64_t i = 0; i < batch.videos; ++i) {
    videos.push_back(order_.at(start + i));
    sizes.push_back(tokens_[videos.back()]);
  }
  check(batch.videos >= rule_.data_ranks, "a batch of ", batch.videos, " videos for ", rule_.data_ranks, " data ranks");
  const int64_t pieces = std::min(rule_.pieces, batch.videos / rule_.data_ranks);
  const std::vector<int64_t> ends = even_parts(sizes, rule_.data_ranks * pieces);
  for (int64_t part = rule_.data_rank * pieces; part < (rule_.data_rank + 1) * pieces; ++part) {
    const int64_t first = part == 0 ? 0 : ends[part - 1];
    if (batch.pieces.empty()) batch.first = first;
    batch.pieces.emplace_back(videos.begin() + first, videos.begin() + ends[part]);
  }
  return batch;
}

std::function<int64_t(int64_t)> StageBatches::own_videos_from(int64_t first) const {
  struct Walk {
    StageBatches batches;
    int64_t step;
    std::vector<int64_t> videos;
  };
  const auto walk = std::make_shared<Walk>(Walk{*this, first, {}});
  return [walk](int64_t position) {
    while (static_cast<int64_t>(walk->videos.size()) <= position)
      for (const std::vector<int64_t>& piece : walk->batches.at(walk->step++).pieces)
        walk->videos.insert(walk->videos.end(), piece.begin(), piece.end());
    return walk->videos[position];
  };
}

}  // namespace moga
