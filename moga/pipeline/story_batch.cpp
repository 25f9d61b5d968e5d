// See story_batch.h. A batch travels as bytes: ranks run the same program on machines of one kind.
#include "moga/pipeline/story_batch.h"

#include <ATen/ATen.h>

#include <cstring>
#include <type_traits>

namespace moga {
namespace {

static_assert(std::is_trivially_copyable_v<ColourReading>, "readings are sent as bytes");

class Writer {
 public:
  void add(const void* data, size_t bytes) { bytes_.append(static_cast<const char*>(data), bytes); }
  void add(int64_t number) { add(&number, sizeof number); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(const std::string& bytes) : bytes_(bytes) {}
  void take(void* data, size_t bytes) {
    check(next_ + bytes <= bytes_.size(), "a batch of stories from another rank ends after ", bytes_.size(), " bytes");
    std::memcpy(data, bytes_.data() + next_, bytes);
    next_ += bytes;
  }
  int64_t number() {
    int64_t value = 0;
    take(&value, sizeof value);
    return value;
  }

 private:
  const std::string& bytes_;
  size_t next_ = 0;
};

void add_picture(Writer& writer, const at::Tensor& picture) {
  const at::Tensor own = picture.contiguous();
  writer.add(own.size(1));
  writer.add(own.size(2));
  writer.add(own.const_data_ptr<uint8_t>(), own.nbytes());
}

at::Tensor take_picture(Reader& reader) {
  const int64_t height = reader.number(), width = reader.number();
  at::Tensor picture = at::empty({3, height, width}, at::kByte);
  reader.take(picture.mutable_data_ptr<uint8_t>(), picture.nbytes());
  return picture;
}

std::string to_bytes(const StoryBatch& batch) {
  Writer writer;
  writer.add(static_cast<int64_t>(batch.readings.size()));
  for (const auto& story : batch.readings) {
    writer.add(static_cast<int64_t>(story.size()));
    writer.add(story.data(), story.size() * sizeof(ColourReading));
  }
  writer.add(static_cast<int64_t>(batch.pictures.size()));
  for (const auto& row : batch.pictures) {
    writer.add(static_cast<int64_t>(row.size()));
    for (const at::Tensor& picture : row) add_picture(writer, picture);
  }
  return writer.bytes();
}

StoryBatch from_bytes(const std::string& bytes) {
  Reader reader(bytes);
  StoryBatch batch;
  batch.readings.resize(reader.number());
  for (auto& story : batch.readings) {
    story.resize(reader.number());
    reader.take(story.data(), story.size() * sizeof(ColourReading));
  }
  batch.pictures.resize(reader.number());
  for (auto& row : batch.pictures)
    for (int64_t count = reader.number(); count > 0; --count) row.push_back(take_picture(reader));
  return batch;
}

}  // namespace

std::vector<StoryBatch> all_gather_batches(const ProcessGroup& ranks, const StoryBatch& own) {
  if (ranks.size() == 1) return {own};
  std::vector<StoryBatch> batches;
  for (const std::string& bytes : ranks.all_gather_text(to_bytes(own))) batches.push_back(from_bytes(bytes));
  return batches;
}

}  // namespace moga
