#include "moga/serve/thread_queue.h"

#include <system_error>

namespace moga {

void ThreadQueue::enqueue(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(work));
  if (waiting_.size() > free_ && threads_.size() < most_) {
    try {
      threads_.emplace_back([this] { run(); });
    } catch (const std::system_error&) {
      if (threads_.empty()) throw;  // the threads that there are take it later
    }
  }
  change_.notify_one();
}

void ThreadQueue::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++free_;
    change_.wait(lock, [&] { return ends_ || !waiting_.empty(); });
    --free_;
    if (waiting_.empty()) return;
    const std::function<void()> work = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    work();
    lock.lock();
  }
}

void ThreadQueue::shutdown() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  change_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

}  // namespace moga
