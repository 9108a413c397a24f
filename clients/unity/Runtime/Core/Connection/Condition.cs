// A condition variable for tasks: they wait for the next change, or until a token is cancelled.

using System.Threading;
using System.Threading.Tasks;

namespace Voxwire.Connection
{
    /// <summary>
    /// To wait until something holds: test it and take `Next` under one lock, release the lock, await `Next`, and test
    /// again.
    /// </summary>
    internal sealed class Condition
    {
        private TaskCompletionSource<bool> source = NewSource();

        /// <summary>Completes at the next `NotifyAll`.</summary>
        internal Task Next
        {
            get { return Volatile.Read(ref source).Task; }
        }

        /// <summary>Wake all tasks that wait. They continue on other threads, so a lock may be held here.</summary>
        internal void NotifyAll()
        {
            Interlocked.Exchange(ref source, NewSource()).TrySetResult(true);
        }

        /// <summary>Wait for a task, or until the token is cancelled.</summary>
        /// <exception cref="System.OperationCanceledException">The token was cancelled first.</exception>
        internal static async Task WaitAsync(Task task, CancellationToken cancel)
        {
            if (!task.IsCompleted && cancel.CanBeCanceled)
            {
                TaskCompletionSource<bool> cancelled = NewSource();
                using (cancel.Register(() => cancelled.TrySetResult(true)))
                    await Task.WhenAny(task, cancelled.Task).ConfigureAwait(false);
                if (!task.IsCompleted)
                    cancel.ThrowIfCancellationRequested();
            }
            await task.ConfigureAwait(false);
        }

        /// <summary>Wait for a task to end; an error of it is ignored.</summary>
        internal static async Task IgnoreErrorsAsync(Task task)
        {
            await Task.WhenAny(task).ConfigureAwait(false);
            // Reading `Exception` marks it as observed, so that it is not reported as unhandled.
            if (task.IsFaulted && task.Exception == null)
                return;
        }

        private static TaskCompletionSource<bool> NewSource()
        {
            return new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }
}
